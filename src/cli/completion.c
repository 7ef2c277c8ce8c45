// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Completion for bash, zsh and fish, from the tables of commands and options. */
#include "cli/man.h"

#include <string.h>

#include "cli/tables.h"
#include "memblame/family.h"

#define GENERATED "# Generated from src/cli/tables.c by tests/unit/cli.\n"

/* Prints text, with the names of all families in place of '@'. */
static void put(FILE *f, const char *text)
{
	size_t n;
	const struct mb_family *const *families = mb_families(&n);

	for (; *text; text++) {
		if (*text != '@')
			fputc(*text, f);
		for (size_t i = 0; *text == '@' && i < n; i++)
			fprintf(f, "%s%s", i ? " " : "", families[i]->name);
	}
}

static void list_commands(FILE *f)
{
	for (size_t i = 0; mb_command_at(i); i++)
		fprintf(f, "%s%s", i ? " " : "", mb_command_at(i)->name);
}

static void list_options(FILE *f, const struct mb_command *c)
{
	for (size_t i = 0; mb_cli_option_at(i); i++) {
		const struct mb_cli_option *o = mb_cli_option_at(i);

		if (!mb_cli_applies(o, c))
			continue;
		if (o->key < 256)
			fprintf(f, "-%c ", o->key);
		fprintf(f, "--%s ", o->name);
	}
}

/* The words that follow a command, if it has some. */
static void put_words(FILE *f, const struct mb_command *c)
{
	switch (mb_command_number(c)) {
	case MB_CLI_oom:
		fprintf(f, "list show");
		break;
	case MB_CLI_replay:
		fprintf(f, "run top trace blame oom leaks");
		break;
	case MB_CLI_help:
		list_commands(f);
		break;
	default:
		break;
	}
}

static bool has_words(const struct mb_command *c)
{
	enum mb_cli_command n = mb_command_number(c);

	return n == MB_CLI_oom || n == MB_CLI_replay || n == MB_CLI_help;
}

/* ---- bash ---- */

/* The options whose argument is completed like this, as a pattern of case: "-p|--pid". */
static void put_pattern(FILE *f, enum mb_cli_completion completes)
{
	bool first = true;

	for (size_t i = 0; mb_cli_option_at(i); i++) {
		const struct mb_cli_option *o = mb_cli_option_at(i);

		if (!o->arg || o->completes != completes)
			continue;
		fprintf(f, "%s--%s", first ? "" : "|", o->name);
		if (o->key < 256)
			fprintf(f, "|-%c", o->key);
		first = false;
	}
}

void mb_completion_bash(FILE *f)
{
	static const struct {
		enum mb_cli_completion completes;
		const char *reply;
	} replies[] = {
		{ MB_CLI_COMPLETES_PID, "mapfile -t COMPREPLY < <(compgen -W \"$(cd /proc && echo [0-9]*)\" -- \"$cur\")" },
		{ MB_CLI_COMPLETES_CGROUP, "mapfile -t COMPREPLY < <(_memblame_cgroups)" },
		{ MB_CLI_COMPLETES_FAMILY, "mapfile -t COMPREPLY < <(compgen -W \"@\" -- \"$cur\")" },
		{ MB_CLI_COMPLETES_FILE, "mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")" },
		{ MB_CLI_COMPLETES_FOLDER, "mapfile -t COMPREPLY < <(compgen -d -- \"$cur\")" },
		{ MB_CLI_COMPLETES_STACKS, "mapfile -t COMPREPLY < <(compgen -W \"auto fp dwarf none\" -- \"$cur\")" },
		{ MB_CLI_COMPLETES_NOTHING, "COMPREPLY=()" },
	};

	fprintf(f, "# bash completion for memblame\n" GENERATED
		   "_memblame_cgroups() {\n"
		   "\tlocal root path\n"
		   "\tfor root in /sys/fs/cgroup/memory /sys/fs/cgroup; do\n"
		   "\t\t[[ -d $root ]] || continue\n"
		   "\t\tfor path in \"$root$cur\"*/; do\n"
		   "\t\t\t[[ -d $path ]] || continue\n"
		   "\t\t\tpath=${path#\"$root\"}\n"
		   "\t\t\techo \"${path%%/}\"\n"
		   "\t\tdone\n"
		   "\t\treturn\n"
		   "\tdone\n"
		   "}\n\n"
		   "_memblame() {\n"
		   "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command='' word i options='' words=''\n"
		   "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
		   "\t\tword=${COMP_WORDS[i]}\n"
		   "\t\t[[ $word == -- ]] && { mapfile -t COMPREPLY < <(compgen -c -- \"$cur\"); return; }\n"
		   "\t\t[[ $command || $word == -* ]] || command=$word\n"
		   "\tdone\n"
		   "\tcase $prev in\n");
	for (size_t i = 0; i < MB_ARRAY_SIZE(replies); i++) {
		fprintf(f, "\t");
		put_pattern(f, replies[i].completes);
		fprintf(f, ") ");
		put(f, replies[i].reply);
		fprintf(f, "; return ;;\n");
	}
	fprintf(f, "\tesac\n\tcase $command in\n\t'') words='");
	list_commands(f);
	fprintf(f, "' options='-h --help --version' ;;\n");
	for (size_t i = 0; mb_command_at(i); i++) {
		fprintf(f, "\t%s) words='", mb_command_at(i)->name);
		put_words(f, mb_command_at(i));
		fprintf(f, "' options='");
		list_options(f, mb_command_at(i));
		fprintf(f, "' ;;\n");
	}
	fprintf(f, "\tesac\n"
		   "\tif [[ $cur == -* ]]; then\n"
		   "\t\tmapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$cur\")\n"
		   "\telif [[ $command == report || ($command == replay && $prev == replay) ]]; then\n"
		   "\t\tmapfile -t COMPREPLY < <(compgen -f -X '!*.db' -- \"$cur\"; compgen -d -- \"$cur\")\n"
		   "\telse\n"
		   "\t\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
		   "\tfi\n"
		   "}\n"
		   "complete -o filenames -F _memblame memblame\n");
}

/* ---- zsh ---- */

/* Text within single quotes and brackets. */
static void put_zsh(FILE *f, const char *text)
{
	for (; *text; text++) {
		if (*text == '\'')
			fprintf(f, "'\\''");
		else if (*text == '[' || *text == ']' || *text == ':')
			fprintf(f, "\\%c", *text);
		else
			fputc(*text, f);
	}
}

static void put_zsh_words(FILE *f, const struct mb_command *c)
{
	if (!has_words(c)) {
		fprintf(f, "\t\t'*::command:_normal'\n");
		return;
	}
	fprintf(f, "\t\t'1:word:(");
	put_words(f, c);
	fprintf(f, ")'\n");
}

static const char *zsh_action(enum mb_cli_completion completes)
{
	switch (completes) {
	case MB_CLI_COMPLETES_PID:
		return "_pids";
	case MB_CLI_COMPLETES_CGROUP:
		return "_path_files -W /sys/fs/cgroup -/";
	case MB_CLI_COMPLETES_FAMILY:
		return "_values -s , family @";
	case MB_CLI_COMPLETES_FILE:
		return "_files";
	case MB_CLI_COMPLETES_FOLDER:
		return "_files -/";
	case MB_CLI_COMPLETES_STACKS:
		return "(auto fp dwarf none)";
	case MB_CLI_COMPLETES_NOTHING:
		break;
	}
	return " ";
}

void mb_completion_zsh(FILE *f)
{
	fprintf(f, "#compdef memblame\n" GENERATED
		   "local -a commands\ncommands=(\n");
	for (size_t i = 0; mb_command_at(i); i++) {
		fprintf(f, "\t'%s:", mb_command_at(i)->name);
		put_zsh(f, mb_command_at(i)->help);
		fprintf(f, "'\n");
	}
	fprintf(f, ")\nif ((CURRENT == 2)); then\n\t_describe command commands\n\treturn\nfi\n"
		   "local command=$words[2]\nshift words\n((CURRENT--))\ncase $command in\n");
	for (size_t i = 0; mb_command_at(i); i++) {
		const struct mb_command *c = mb_command_at(i);

		fprintf(f, "%s)\n\t_arguments -s \\\n", c->name);
		for (size_t j = 0; mb_cli_option_at(j); j++) {
			const struct mb_cli_option *o = mb_cli_option_at(j);

			if (!mb_cli_applies(o, c))
				continue;
			if (o->key < 256)
				fprintf(f, "\t\t{-%c,--%s}'[", o->key, o->name);
			else
				fprintf(f, "\t\t'--%s[", o->name);
			put_zsh(f, o->help);
			fprintf(f, "]");
			if (o->arg) {
				fprintf(f, ":");
				put_zsh(f, o->arg);
				fprintf(f, ":");
				put(f, zsh_action(o->completes));
			}
			fprintf(f, "' \\\n");
		}
		if (mb_command_number(c) == MB_CLI_report || mb_command_number(c) == MB_CLI_replay)
			fprintf(f, "\t\t'*:recording:_files -g \"*.db\"'\n");
		else
			put_zsh_words(f, c);
		fprintf(f, "\t;;\n");
	}
	fprintf(f, "esac\n");
}

/* ---- fish ---- */

static void put_fish(FILE *f, const char *text)
{
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			fputc('\\', f);
		fputc(*text, f);
	}
}

static const char *fish_action(enum mb_cli_completion completes)
{
	switch (completes) {
	case MB_CLI_COMPLETES_PID:
		return " -x -a '(__fish_complete_pids)'";
	case MB_CLI_COMPLETES_CGROUP:
		return " -x -a '(__fish_complete_directories /sys/fs/cgroup/)'";
	case MB_CLI_COMPLETES_FAMILY:
		return " -x -a '@'";
	case MB_CLI_COMPLETES_FILE:
		return " -r -F";
	case MB_CLI_COMPLETES_FOLDER:
		return " -x -a '(__fish_complete_directories)'";
	case MB_CLI_COMPLETES_STACKS:
		return " -x -a 'auto fp dwarf none'";
	case MB_CLI_COMPLETES_NOTHING:
		break;
	}
	return " -x";
}

void mb_completion_fish(FILE *f)
{
	fprintf(f, "# fish completion for memblame\n" GENERATED "complete -c memblame -n __fish_use_subcommand -f\n");
	for (size_t i = 0; mb_command_at(i); i++) {
		const struct mb_command *c = mb_command_at(i);

		fprintf(f, "complete -c memblame -n __fish_use_subcommand -a %s -d '", c->name);
		put_fish(f, c->help);
		fprintf(f, "'\n");
		if (has_words(c)) {
			fprintf(f, "complete -c memblame -n '__fish_seen_subcommand_from %s' -a '", c->name);
			put_words(f, c);
			fprintf(f, "'\n");
		}
		for (size_t j = 0; mb_cli_option_at(j); j++) {
			const struct mb_cli_option *o = mb_cli_option_at(j);

			if (!mb_cli_applies(o, c))
				continue;
			fprintf(f, "complete -c memblame -n '__fish_seen_subcommand_from %s'", c->name);
			if (o->key < 256)
				fprintf(f, " -s %c", o->key);
			fprintf(f, " -l %s", o->name);
			put(f, o->arg ? fish_action(o->completes) : "");
			fprintf(f, " -d '");
			put_fish(f, o->help);
			fprintf(f, "'\n");
		}
	}
}
