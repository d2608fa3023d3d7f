#!/bin/sh
# What a tour has left on its root disk, by other eyes than those of the Linux that wrote it: the file system is whole, and each file of /kept has the
# check sum that stands in /kept/sums.
b=/bin/busybox
disk=$1
wrong() { echo "disk: WRONG: $*"; exit 1; }
of_disk() { debugfs -R "cat $1" $disk 2>/dev/null; }

e2fsck -f -n $disk 2>&1 || wrong "e2fsck ends with status $?"
sums=$(of_disk /kept/sums)
files=0
while read -r sum file; do
    [ -n "$file" ] || continue
    [ "$(of_disk $file | $b sha256sum)" = "$sum  -" ] || wrong "$file is not what was written"
    files=$((files+1))
done <<END
$sums
END
[ $files -gt 0 ] || wrong "nothing was kept"
echo "disk: $files files are what was written"
