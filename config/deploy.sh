#!/bin/sh
# Installs backupctl on this host: the executable, its user, its folders and its units. Safe to
# repeat: what is there and right stays, a configuration is never overwritten.
#
#   sudo config/deploy.sh dist/backupctl               # and the daemon's unit
#   sudo config/deploy.sh --timers dist/backupctl      # systemd timers instead of the daemon
#   sudo config/deploy.sh --cron dist/backupctl        # lines in /etc/cron.d instead
#   config/deploy.sh --root /tmp/image dist/backupctl  # into a folder, to look or to package
#
# Options: --user NAME (default: postgres when there is one, else backupctl), --enable (start the
# daemon or the timers, too).
set -eu
umask 022

usage() {
	sed -n '2,/^set -eu/{/^set -eu/d;s/^# \{0,1\}//;p;}' "$0"
	exit "$1"
}

fail() {
	printf 'deploy: %s\n' "$*" >&2
	exit 1
}

root=''
user=''
mode=daemon
enable=no
executable=''
while [ $# -gt 0 ]; do
	case $1 in
	--root)
		[ $# -ge 2 ] || usage 2
		root=$2
		shift
		;;
	--user)
		[ $# -ge 2 ] || usage 2
		user=$2
		shift
		;;
	--daemon) mode=daemon ;;
	--timers) mode=timers ;;
	--cron) mode=cron ;;
	--enable) enable=yes ;;
	-h | --help) usage 0 ;;
	-*) usage 2 >&2 ;;
	*)
		[ -z "$executable" ] || usage 2 >&2
		executable=$1
		;;
	esac
	shift
done

[ -n "$executable" ] || usage 2 >&2
[ -f "$executable" ] || fail "$executable is no file; \"deno task compile\" makes dist/backupctl"
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
case $root in
'') ;;
/*) root=${root%/} ;;
*) fail "--root needs an absolute path, and $root is none" ;;
esac
[ -n "$root" ] || [ "$(id -u)" -eq 0 ] || fail "installing needs root; --root FOLDER does not"

if [ -z "$user" ]; then
	if [ -z "$root" ] && ! id -u postgres >/dev/null 2>&1; then user=backupctl; else user=postgres; fi
fi
case $user in
*[!a-z0-9_-]* | -* | '') fail "\"$user\" is no user's name" ;;
esac

say() { printf '%-10s %s\n' "$1" "$2"; }

# In a folder to be packaged there are no users: whoever unpacks it sets them.
own() { # OWNER PATH
	[ -n "$root" ] || chown "$1" "$2"
}

folder() { # PATH MODE OWNER
	if [ -d "$root$1" ]; then say kept "$1/"; else
		mkdir -p "$root$1"
		say made "$1/"
	fi
	chmod "$2" "$root$1"
	own "$3" "$root$1"
}

# The new file gets its name only when it is whole: the old executable may be running.
put() { # SOURCE PATH MODE OWNER
	if [ -f "$root$2" ] && cmp -s "$1" "$root$2"; then
		chmod "$3" "$root$2"
		own "$4" "$root$2"
		say unchanged "$2"
		return
	fi
	verb=installed
	[ ! -e "$root$2" ] || verb=updated
	mkdir -p "$(dirname "$root$2")"
	cp "$1" "$root$2.new"
	chmod "$3" "$root$2.new"
	own "$4" "$root$2.new"
	mv -f "$root$2.new" "$root$2"
	say "$verb" "$2"
}

keep_or_put() { # SOURCE PATH MODE OWNER: never over what an operator has written
	if [ -e "$root$2" ]; then
		chmod "$3" "$root$2"
		own "$4" "$root$2"
		say kept "$2"
	else put "$@"; fi
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

if [ -z "$root" ]; then
	if id -u "$user" >/dev/null 2>&1; then say kept "user $user"; else
		useradd --system --user-group --home-dir /var/lib/backupctl --no-create-home \
			--shell /usr/sbin/nologin "$user"
		say made "user $user"
	fi
	group=$(id -gn "$user")
else
	group=$user
fi

put "$executable" /usr/local/bin/backupctl 0755 root:root
put "$here/healthcheck.sh" /usr/local/lib/backupctl/healthcheck.sh 0755 root:root
# Root writes below /etc/backupctl, so nobody else may.
folder /etc/backupctl 0750 "root:$group"
for path in /var/lib/backupctl /var/log/backupctl; do folder "$path" 0700 "$user:$group"; done
keep_or_put "$here/config.yaml" /etc/backupctl/config.yaml 0600 "$user:$group"
cat >"$scratch/environment" <<'EOF'
# Secrets for the units and for cron, a line each; mode 0600.
# PG_PASSWORD=…
# AWS_ACCESS_KEY_ID=…
# AWS_SECRET_ACCESS_KEY=…
EOF
keep_or_put "$scratch/environment" /etc/backupctl/environment 0600 "$user:$group"
sed "s/postgres postgres/$user $group/" "$here/logrotate" >"$scratch/logrotate"
put "$scratch/logrotate" /etc/logrotate.d/backupctl 0644 root:root

unit() { # NAME: the unit, run by our user
	sed "s/^User=postgres$/User=$user/; s/^Group=postgres$/Group=$group/" \
		"$here/systemd/$1" >"$scratch/$1"
	put "$scratch/$1" "/etc/systemd/system/$1" 0644 root:root
}

units=''
case $mode in
daemon)
	unit backupctl.service
	units=backupctl.service
	;;
timers)
	for name in full incremental prune; do
		unit "backupctl-$name.service"
		unit "backupctl-$name.timer"
		units="$units backupctl-$name.timer"
	done
	;;
cron)
	# In /etc/cron.d the user stands behind the five fields.
	sed "s/^\([0-9*][^ ]* *[^ ]* *[^ ]* *[^ ]* *[^ ]*\)  */\1 $user /" \
		"$here/crontab" | sed '/^#.*crontab -u/d' >"$scratch/crontab"
	put "$scratch/crontab" /etc/cron.d/backupctl 0644 root:root
	;;
esac

if [ -z "$root" ] && [ -n "$units" ] && [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	# shellcheck disable=SC2086 # several words are meant
	[ "$enable" = no ] || systemctl enable --now $units
fi

# Two ways at once would take every backup twice.
for other in backupctl.service backupctl-full.timer; do
	case " $units " in *" $other "*) continue ;; esac
	[ ! -e "$root/etc/systemd/system/$other" ] ||
		say 'note:' "$other is here as well; systemctl disable --now $other"
done
[ "$mode" = cron ] || [ ! -e "$root/etc/cron.d/backupctl" ] ||
	say 'note:' '/etc/cron.d/backupctl is here as well; remove it'

cat <<EOF

next:
  edit /etc/backupctl/config.yaml and /etc/backupctl/environment
  sudo -u $user backupctl test
EOF
[ -z "$units" ] || [ "$enable" = yes ] || printf '  systemctl enable --now%s\n' " ${units# }"
