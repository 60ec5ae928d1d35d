/*
 * launcher: starts a Debian program on a host that may have another C library, or none.
 *
 *   <somewhere>/iptables -> <aux>/iptables-legacy      what is called
 *   <aux>/iptables-legacy -> launcher                  the link to the launcher: its name chooses the program
 *   <aux>/launcher                                     this program, static
 *   <aux>/programs/iptables-legacy                     the program; it is told the name it was called by (iptables)
 *   <aux>/lib/ld-linux-x86-64.so.2                     its loader, with every library it needs
 *
 * An ELF file can name its loader by an absolute path only, and the data directory is the operator's choice. So the
 * loader is called as a program. --library-path holds for this one program: what it starts in turn finds the
 * host's libraries as ever.
 */

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#define LOADER "lib/ld-linux-x86-64.so.2"
#define SELF "launcher"
#define MOST_LINKS 16
#define OWN_ARGUMENTS 6
#define CANNOT_RUN 126
#define NOT_FOUND 127

static int failed(const char *what)
{
	fprintf(stderr, "launcher: %s: %s\n", what, strerror(errno));
	return errno == ENOENT ? NOT_FOUND : CANNOT_RUN;
}

/* The part of `path` after its last slash. */
static const char *base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

/* The directory this program lies in, links resolved; 0 if it cannot be told. */
static int own_directory(char directory[PATH_MAX])
{
	ssize_t length = readlink("/proc/self/exe", directory, PATH_MAX - 1);
	char *slash;

	if (length < 0)
		return 0;
	directory[length] = '\0';
	slash = strrchr(directory, '/');
	if (slash == NULL)
		return 0;
	*slash = '\0';
	return 1;
}

/* Replaces `path` by what this link points to; 0 if it is no link or the path would be too long. */
static int follow(char path[PATH_MAX])
{
	char target[PATH_MAX];
	ssize_t length = readlink(path, target, sizeof target - 1);
	size_t kept;

	if (length < 0)
		return 0;
	target[length] = '\0';
	kept = target[0] == '/' ? 0 : (size_t)(base(path) - path);
	if (kept + (size_t)length >= PATH_MAX)
		return 0;
	strcpy(path + kept, target);
	return 1;
}

/* The name of the link that points to this program: argv[0] is only what the caller says. */
static const char *program_name(char name[NAME_MAX + 1])
{
	const char *called = (const char *)getauxval(AT_EXECFN);
	char path[PATH_MAX];
	int links;

	snprintf(path, sizeof path, "%s", called == NULL ? "" : called);
	for (links = 0; links < MOST_LINKS; links++) {
		snprintf(name, NAME_MAX + 1, "%s", base(path));
		if (!follow(path) || strcmp(base(path), SELF) == 0)
			break;
	}
	return name;
}

int main(int argc, char **argv)
{
	char directory[PATH_MAX], loader[PATH_MAX + 64], libraries[PATH_MAX + 64], extensions[PATH_MAX + 64];
	char program[PATH_MAX + NAME_MAX + 64], name[NAME_MAX + 1];
	char **arguments;

	if (argc < 1 || !own_directory(directory))
		return failed("/proc/self/exe");
	snprintf(program, sizeof program, "%s/programs/%s", directory, program_name(name));
	snprintf(loader, sizeof loader, "%s/" LOADER, directory);
	snprintf(libraries, sizeof libraries, "%s/lib", directory);
	snprintf(extensions, sizeof extensions, "%s/lib/xtables", directory);
	if (access(program, X_OK) != 0)
		return failed(program);

	/* iptables looks for its extensions where Debian has them, unless it is told. */
	if (setenv("XTABLES_LIBDIR", extensions, 1) != 0)
		return failed("XTABLES_LIBDIR");
	arguments = calloc((size_t)argc + OWN_ARGUMENTS, sizeof *arguments);
	if (arguments == NULL)
		return failed("arguments");
	arguments[0] = loader;
	arguments[1] = "--library-path";
	arguments[2] = libraries;
	arguments[3] = "--argv0";
	arguments[4] = argv[0];
	arguments[5] = program;
	/* With the NULL at the end. */
	memcpy(arguments + OWN_ARGUMENTS, argv + 1, (size_t)argc * sizeof *arguments);
	execv(loader, arguments);
	return failed(loader);
}
