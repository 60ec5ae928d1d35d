"""``/db/info``: the members of etcd, for a server that joins and for the own ``rke2 status``."""

from __future__ import annotations

from aiohttp import web

from rke2.datastore.requests import MemberRequests
from rke2.errors import EtcdError
from rke2.etcd.members import db_info
from rke2.supervisor.api.answers import json_response
from rke2.supervisor.calls import Call
from rke2.supervisor.status import bad_request, internal

# RKE2's limit (supervisor reference §2.5).
_MEMBER_LIST_SECONDS = 2.0


class MemberHandlers:
    """Answers with etcd's members.

    Args:
        etcd: None on a server without managed etcd.
    """

    def __init__(self, etcd: MemberRequests | None) -> None:
        self._etcd = etcd

    async def members(self, call: Call) -> web.Response:
        if self._etcd is None:
            raise bad_request("etcd disabled")
        try:
            found = await self._etcd.members(timeout=_MEMBER_LIST_SECONDS)
        except EtcdError as error:
            raise internal("etcd", error) from error
        return json_response(db_info(found))
