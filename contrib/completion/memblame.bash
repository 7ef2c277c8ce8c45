# bash completion for memblame
# Generated from src/cli/tables.c by tests/unit/cli.
_memblame_cgroups() {
	local root path
	for root in /sys/fs/cgroup/memory /sys/fs/cgroup; do
		[[ -d $root ]] || continue
		for path in "$root$cur"*/; do
			[[ -d $path ]] || continue
			path=${path#"$root"}
			echo "${path%/}"
		done
		return
	done
}

_memblame() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command='' word i options='' words=''
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		[[ $word == -- ]] && { mapfile -t COMPREPLY < <(compgen -c -- "$cur"); return; }
		[[ $command || $word == -* ]] || command=$word
	done
	case $prev in
	--pid|-p) mapfile -t COMPREPLY < <(compgen -W "$(cd /proc && echo [0-9]*)" -- "$cur"); return ;;
	--cgroup|-c) mapfile -t COMPREPLY < <(_memblame_cgroups); return ;;
	--family|-f) mapfile -t COMPREPLY < <(compgen -W "task fault vma reclaim writeback oom heap kmem" -- "$cur"); return ;;
	--output|-o|--csv|--folded|--svg|--config) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	--state-dir) mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
	--stacks) mapfile -t COMPREPLY < <(compgen -W "auto fp dwarf none" -- "$cur"); return ;;
	--duration|-d|--interval|-i|--budget|--history|--from|--to|--sample|--pages|--diff|--listen) COMPREPLY=(); return ;;
	esac
	case $command in
	'') words='top run trace blame leaks oom record report replay serve doctor help demo' options='-h --help --version' ;;
	top) words='' options='-p --pid -c --cgroup -d --duration -i --interval -f --family --json -o --output --budget --pss --history --quiet --verbose -h --help ' ;;
	run) words='' options='-d --duration -i --interval -f --family --json -o --output --budget --pss --history --quiet --verbose -h --help ' ;;
	trace) words='' options='-p --pid -c --cgroup -d --duration -f --family --json -o --output --budget --history --self --quiet --verbose -h --help ' ;;
	blame) words='' options='-p --pid -c --cgroup -d --duration -i --interval -f --family --json -o --output --budget --history --quiet --verbose -h --help ' ;;
	leaks) words='' options='-p --pid -c --cgroup -d --duration -i --interval -f --family --json -o --output --history --heap --kernel --stacks --sample --pages --folded --svg --diff --maps --series --quiet --verbose -h --help ' ;;
	oom) words='list show' options='-p --pid -c --cgroup -d --duration -i --interval -f --family --json -o --output --budget --history --state-dir --quiet --verbose -h --help ' ;;
	record) words='' options='-p --pid -c --cgroup -d --duration -i --interval -f --family --json -o --output --budget --pss --history --raw --heap --kernel --stacks --sample --pages --quiet --verbose -h --help ' ;;
	report) words='' options='-p --pid -c --cgroup -f --family --json -o --output --from --to --csv --timeline --quiet --verbose -h --help ' ;;
	replay) words='run top trace blame oom leaks' options='-i --interval -f --family --json -o --output --self --pace --folded --svg --diff --maps --series --quiet --verbose -h --help ' ;;
	serve) words='' options='-c --cgroup -i --interval -f --family --json -o --output --budget --history --state-dir --config --check-config --listen --quiet --verbose -h --help ' ;;
	doctor) words='' options='-f --family --json -o --output --quiet --verbose -h --help ' ;;
	help) words='top run trace blame leaks oom record report replay serve doctor help demo' options='-h --help ' ;;
	demo) words='' options='-o --output --quiet --verbose -h --help ' ;;
	esac
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
	elif [[ $command == report || ($command == replay && $prev == replay) ]]; then
		mapfile -t COMPREPLY < <(compgen -f -X '!*.db' -- "$cur"; compgen -d -- "$cur")
	else
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
	fi
}
complete -o filenames -F _memblame memblame
