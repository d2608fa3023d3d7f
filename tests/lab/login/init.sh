#!/bin/sh
# The first process of a Linux that is used over its serial console: it makes an account, and leaves the rest to busybox's init, which asks who is there on ttyS0
# and asks again when somebody has gone.
b=/bin/busybox
$b mount -t proc none /proc; $b mount -t sysfs none /sys; $b mount -t devtmpfs none /dev; $b mount -t tmpfs none /tmp
$b --install -s /bin
echo "root:x:0:0:root:/tmp:/bin/sh" > /etc/passwd
echo "root:$(mkpasswd -m sha512 "$password"):20000:0:99999:7:::" > /etc/shadow
echo "$host" > /proc/sys/kernel/hostname
cat > /etc/profile <<END
PS1='$prompt'
count() { i=1; while [ \$i -le \$1 ]; do echo "\$2 \$i"; i=\$((i+1)); done; }
END
cat > /etc/inittab <<END
ttyS0::respawn:/bin/getty -L 115200 ttyS0 vt100
END
exec /bin/init
