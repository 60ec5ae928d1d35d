"""What a phase waits for, with its cause once it takes long."""

from __future__ import annotations

from rke2.boot.explaining import AFTER, EVERY, Explained


class Waiting:
    """A condition with reasons that run out, a cause, and a clock."""

    def __init__(self, *reasons: str) -> None:
        self.reasons, self.cause, self.time, self.looks = [*reasons], "no sandbox", 0.0, 0

    async def condition(self) -> str:
        return self.reasons.pop(0)

    def look(self) -> str:
        self.looks += 1
        return self.cause

    def explained(self) -> Explained:
        return Explained(self.condition, self.look, lambda: self.time)


async def test_a_wait_that_is_short_is_not_explained() -> None:
    waiting = Waiting("no answer", "")
    explained = waiting.explained()
    assert [await explained(), await explained()] == ["no answer", ""]
    assert waiting.looks == 0


async def test_a_wait_that_is_long_has_its_cause() -> None:
    waiting = Waiting("no answer", "no answer", "no answer", "")
    explained = waiting.explained()
    waiting.time = AFTER
    assert await explained() == "no answer: no sandbox"
    assert await explained() == "no answer: no sandbox"
    assert waiting.looks == 1
    waiting.time, waiting.cause = AFTER + EVERY, ""
    assert await explained() == "no answer"
    assert await explained() == ""
    assert waiting.looks == 2
