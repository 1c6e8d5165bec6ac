#!/bin/bash
# SPDX-License-Identifier: MIT
# machine_boot.sh NAME SCRATCH: a real systemd as process 1 over this machine's own files, until SIGTERM.
# For systemd_machine.py, which says why. The first line of output is the pid of that process 1.
#
# outside  makes the mounts and control groups, waits, takes down both, whatever has happened meanwhile
# inside   is process 1 of the new namespaces: builds the root, moves into it, becomes systemd
#
# Control groups are mounted here, not looked for: a chroot or a container may show none of them.
set -euo pipefail

# What a booted machine wants, but for the parts that a machine without devices can do without.
wanted_units='systemd-journald* systemd-tmpfiles-setup.service systemd-sysusers.service dbus.socket'

# Prints FOLDER TYPE OPTIONS for each hierarchy of control groups that this kernel runs.
hierarchies() {
	local controllers
	while IFS=: read -r _ controllers _; do
		case $controllers in
		cpuset) ;; # of version 1: a new group has no processors until it is given some
		"") echo "unified cgroup2 rw" ;;
		name=*) echo "${controllers#name=} cgroup none,$controllers" ;;
		*) echo "$controllers cgroup $controllers" ;;
		esac
	done </proc/self/cgroup
}

mount_hierarchies() { # WHERE
	local folder type options part
	if [[ $(hierarchies) == "unified cgroup2 rw" ]]; then
		mount -t cgroup2 cgroup2 "$1"
		return
	fi
	mount -t tmpfs -o mode=0755 tmpfs "$1"
	while read -r folder type options; do
		mkdir "$1/$folder"
		mount -t "$type" -o "$options" "$type" "$1/$folder" || rmdir "$1/$folder"
		for part in ${folder//,/ }; do
			[[ -e $1/$part ]] || ln -s "$folder" "$1/$part"
		done
	done < <(hierarchies)
}

# The machine's own groups, one in each hierarchy.
groups_of() { # NAME
	local folder
	for folder in "$scratch"/cgroup "$scratch"/cgroup/*; do
		if [[ -e $folder/cgroup.procs && ! -L $folder && $folder != */"$1" ]]; then
			echo "$folder/$1"
		fi
	done
}

make_groups() { # NAME
	local group controller
	for group in $(groups_of "$1"); do
		mkdir "$group"
		if [[ -s ${group%/*}/cgroup.controllers ]]; then
			# One by one: what another does not hand down must not keep the others away.
			for controller in $(<"${group%/*}/cgroup.controllers"); do
				echo "+$controller" >"${group%/*}/cgroup.subtree_control" || :
			done
		fi
	done
}

remove_groups() { # NAME
	local group i
	for group in $(groups_of "$1"); do
		for ((i = 0; i < 200; i++)); do
			find "$group" -depth -type d -delete 2>/dev/null && break
			[[ -d $group ]] || break
			sleep 0.05 # its last processes are still on their way out
		done
	done
}

# shellcheck disable=SC2317  # by the trap
take_down() {
	set +e
	if [[ -n ${child:-} ]]; then
		kill -KILL "$child" 2>/dev/null # --kill-child takes process 1 and with it all others
		wait "$child" 2>/dev/null
	fi
	[[ -d $scratch/cgroup ]] && remove_groups "$name"
	umount -R -l "$scratch"
	rmdir "$scratch"
}

outside() {
	local group
	name=$1 scratch=$2
	trap take_down EXIT
	trap 'exit 0' TERM INT HUP
	mount -t tmpfs -o mode=0755 tmpfs "$scratch"
	mkdir "$scratch"/{cgroup,upper,work,root}
	mount_hierarchies "$scratch/cgroup"
	make_groups "$name"
	(
		for group in $(groups_of "$name"); do
			echo "$BASHPID" >"$group/cgroup.procs"
		done
		exec unshare --mount --pid --fork --kill-child --cgroup --uts --ipc --net --propagation private \
			"$0" --inside "$name" "$scratch"
	) </dev/null &
	child=$!
	wait "$child"
}

mount_devices() { # ROOT
	local name
	mount -t tmpfs -o mode=0755 tmpfs "$1/dev"
	for name in null zero full random urandom tty; do
		: >"$1/dev/$name"
		mount --bind "/dev/$name" "$1/dev/$name"
	done
	mkdir "$1"/dev/{pts,shm}
	mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$1/dev/pts"
	mount -t tmpfs -o mode=1777 tmpfs "$1/dev/shm"
	ln -s pts/ptmx "$1/dev/ptmx"
	ln -s /proc/self/fd "$1/dev/fd"
	ln -s /proc/self/fd/0 "$1/dev/stdin"
	ln -s /proc/self/fd/1 "$1/dev/stdout"
	ln -s /proc/self/fd/2 "$1/dev/stderr"
}

mount_kernel_views() { # ROOT
	mount -t proc -o nosuid,nodev,noexec proc "$1/proc"
	# systemd raises limits of the whole kernel by these.
	mount --bind "$1/proc/sys" "$1/proc/sys"
	mount -o remount,bind,ro "$1/proc/sys"
	mount -t sysfs -o ro sysfs "$1/sys"
	mount_hierarchies "$1/sys/fs/cgroup"
}

write_units() { # ROOT
	local own=$1/etc/systemd/system unit pattern
	for unit in "$1"/usr/lib/systemd/system/{sysinit,basic,local-fs,sockets,timers,paths}.target.wants/*; do
		unit=${unit##*/}
		for pattern in $wanted_units; do
			# shellcheck disable=SC2053  # patterns they are
			[[ $unit == $pattern ]] && continue 2
		done
		[[ $unit == '*' || -L $own/$unit ]] || ln -s /dev/null "$own/$unit"
	done
	printf '%s\n' '[Unit]' 'Requires=basic.target' 'After=basic.target' 'AllowIsolate=yes' >"$own/machine.target"
}

inside() {
	local name=$1 scratch=$2 root=$2/root folder pid
	# /proc is still the one outside, and so is this pid.
	read -r pid _ </proc/self/stat
	mount -t overlay -o "lowerdir=/,upperdir=$scratch/upper,workdir=$scratch/work" overlay "$root"
	for folder in etc/systemd/system etc/init.d run var/log; do
		mkdir -p "$root/$folder"
		mount -t tmpfs -o mode=0755 tmpfs "$root/$folder"
	done
	mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
	mount_kernel_views "$root"
	mount_devices "$root"
	write_units "$root"
	: >"$root/etc/fstab"
	tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
	echo "$name" >"$root/etc/hostname"
	hostname "$name"
	rm -f "$root/usr/sbin/policy-rc.d" # it would keep packages from starting what they install
	mkdir "$root/run/outside"
	cd "$root"
	pivot_root . run/outside
	echo "$pid"
	# shellcheck disable=SC2016  # for the shell inside
	exec chroot . /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		LANG=C.UTF-8 container=zooparallel-test /bin/sh -euc '
			umount -l /run/outside
			rmdir /run/outside
			mount --make-rshared /
			exec /lib/systemd/systemd --unit=machine.target --show-status=0 --log-level=notice \
				--log-target=journal-or-kmsg' >&2
}

if [[ $1 == --inside ]]; then
	inside "$2" "$3"
else
	outside "$1" "$2"
fi
