#!/bin/sh
# The first process of a Linux in our machine: it finds its root disk, and leaves everything else to what is on it.
b=/bin/busybox
$b mount -t proc none /proc; $b mount -t devtmpfs none /dev
wrong() { $b dmesg | $b tail -n 60; echo "guest: WRONG: $*"; $b poweroff -f; while :; do $b sleep 9; done; }
# What the kernel says of the processor that it finds itself on, before any driver of ours, is nobody's alarm in the tour in which things are torn out.
[ "$tour" = surprise ] && $b dmesg -c > /dev/null
for module in /modules/*.ko; do $b insmod $module || wrong "$module"; done
n=0; while [ ! -b /dev/vda ]; do $b usleep 100000; n=$((n+1)); [ $n -lt 600 ] || wrong "there is no root disk"; done
$b mount -t ext4 /dev/vda /root || wrong "the root disk cannot be mounted"
$b umount /proc
$b mount -o move /dev /root/dev
exec $b switch_root /root /tour
