/*
 * pause: the first process of every pod.
 *
 * It keeps the pod's namespaces open while containers come and go. Where the containers share one process
 * namespace it is their PID 1: the kernel hands it every orphan, and it reaps them. It ends at once when the
 * runtime asks (SIGTERM) or a person does (SIGINT).
 *
 * `pause -v` prints the version.
 */

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef VERSION
#define VERSION "unknown"
#endif

static void reap_all(void)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

int main(int argc, char **argv)
{
	sigset_t watched;
	int signal_number;

	if (argc > 1 && strcmp(argv[1], "-v") == 0) {
		puts("pause " VERSION);
		return 0;
	}

	/* A blocked signal stays pending, so none is lost between two calls of sigwait(). PID 1 of a namespace
	 * has no default actions: without this SIGTERM would be ignored and every pod would take its whole
	 * grace period to stop. */
	sigemptyset(&watched);
	sigaddset(&watched, SIGCHLD);
	sigaddset(&watched, SIGINT);
	sigaddset(&watched, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &watched, NULL) != 0) {
		perror("pause: sigprocmask");
		return 1;
	}

	for (;;) {
		if (sigwait(&watched, &signal_number) != 0)
			return 1;
		if (signal_number != SIGCHLD)
			return 0;
		reap_all();
	}
}
