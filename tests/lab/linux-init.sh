#!/bin/sh
# The tour of a Linux through our machine: every device is found by Linux's own drivers, data comes back as it was written, every card is ejected by
# pciehp while I/O is in flight and comes back, and no driver complains.
b=/bin/busybox
pci=/sys/bus/pci
rounds=${rounds:-2}
$b mount -t proc none /proc; $b mount -t sysfs none /sys; $b mount -t devtmpfs none /dev

# Says what is wrong last: the lab shows the end of what it was told.
wrong() { $b dmesg | $b tail -n 60; echo "guest: WRONG: $*"; $b poweroff -f; while :; do $b sleep 9; done; }
is() { [ "$($b cat $1)" = "$2" ] && echo "guest: $1 is $2" || wrong "$1 is $($b cat $1), not $2"; }
there() { n=0; while [ ! -e $1 ]; do $b usleep 100000; n=$((n+1)); [ $n -lt 600 ] || wrong "there is no $1"; done; echo "guest: $1 is there"; }
gone() { n=0; while [ -e $1 ]; do $b usleep 100000; n=$((n+1)); [ $n -lt 600 ] || wrong "$1 is still there"; done; echo "guest: $1 is gone"; }
all() { for file in $devices; do $1 $file; done; }
usb=/sys/bus/usb/devices
devices="/dev/sda /dev/sdb /dev/vda /dev/ttyACM0 $pci/devices/0000:01:00.0 $usb/1-2/product $usb/1-4.2/product"

# sbp2's probe wants the bus generation in which its unit was found, and gives up (-12) when the bus manager's gap count reset comes between: then, and only
# then, it is asked again.
attached() {
    n=0
    while [ ! -e $1 ]; do
        for unit in /sys/bus/firewire/devices/fw*.0; do
            [ -e $unit ] && [ ! -e $unit/driver ] && echo ${unit##*/} > /sys/bus/firewire/drivers_probe
        done
        $b usleep 500000; n=$((n+1)); [ $n -lt 120 ] || wrong "there is no $1"
    done
}

# What was written is read back from the device, not from the cache.
copy() {
    $b dd if=/dev/urandom of=/written bs=64k count=8 2>/dev/null
    $b dd if=/written of=/dev/$1 bs=64k count=8 conv=fsync 2>/dev/null || wrong "/dev/$1 cannot be written"
    echo 1 > /proc/sys/vm/drop_caches
    $b dd if=/dev/$1 of=/read bs=64k count=8 2>/dev/null
    $b cmp /written /read && echo "guest: /dev/$1 keeps what it is given" || wrong "/dev/$1 does not keep what it is given"
}

# A serial port gives back what it is sent.
loop_back() {
    $b stty -F /dev/ttyACM0 raw -echo
    ($b timeout 60 $b head -n 1 /dev/ttyACM0 > /heard) &
    heard=$!
    $b sleep 1
    echo "once more" > /dev/ttyACM0
    wait $heard
    is /heard "once more"
}

# What the kernel says of the processor that it finds itself on, before any driver of ours, is nobody's alarm here.
[ "$tour" = surprise ] && $b dmesg -c > /dev/null
for module in /modules/*.ko; do $b insmod $module || wrong "$module"; done
is /sys/devices/system/cpu/online 0-1
is $pci/devices/0000:01:00.0/vendor 0x1234
is $pci/devices/0000:01:00.0/device 0x11e8
is $pci/slots/1/adapter 1

# The other tour: the plan beneath this machine tears out one thing after the other and puts it back, while both disks are written to, each time the bell is
# rung: a write to a register of the card in slot 2. Linux must miss each thing, find it again, and run into none of its own alarms. Disks are looked for
# below their device: whoever still has the old one open keeps its name from the new one.
stick="$usb/1-1:1.0/host*/target*/*/block/sd*"
fire="/sys/bus/firewire/devices/fw*.0/host*/target*/*/block/sd*"
hang() { for disk in $1; do [ -e $disk ] && echo /dev/${disk##*/}; done; }
ring() { $b devmem $bell 32 1 || wrong "the bell cannot be rung"; }
since() { read -r up idle < /proc/uptime; echo "guest: at $up s: $*"; }
torn_out() {
    ring; gone "$1"
    ring; [ "$1" = "$fire" ] && attached "$fire"
    there "$1"
}
if [ "$tour" = surprise ]; then
    card=$pci/devices/$($b cat $pci/slots/2/address).0
    echo 1 > $card/enable
    read -r address rest < $card/resource
    bell=$((address + 4))
    for disk in "$stick" "$fire"; do
        (while :; do for node in $(hang "$disk"); do $b dd if=/dev/zero of=$node bs=64k count=200 oflag=direct 2>/dev/null; done; $b usleep 100000; done) &
    done
    round=1
    while [ $round -le $rounds ]; do
        since "round $round"
        attached "$fire"
        for file in "$stick" "$fire" /dev/ttyACM0 $pci/devices/0000:01:00.0 $usb/1-2/product $usb/1-4.2/product; do there "$file"; done
        torn_out "$stick"
        torn_out $usb/1-4.2/product
        torn_out "$fire"
        torn_out $usb/1-2/product
        torn_out "$fire"
        torn_out $pci/devices/0000:01:00.0
        round=$((round+1))
    done
    attached "$fire"
    for file in "$stick" "$fire" /dev/ttyACM0 $usb/1-2/product $usb/1-4.2/product; do there "$file"; done
    since "all is back"
    $b dmesg | $b grep -E "WARNING: CPU|BUG:|Oops|blocked for more than|refcount|Call Trace" > /complaints
    [ -s /complaints ] && wrong "the kernel raises an alarm: $($b cat /complaints)"
    echo "guest: no driver complains"
    $b poweroff -f
    while :; do $b sleep 9; done
fi

round=1
while [ $round -le $rounds ]; do
    echo "guest: round $round"
    attached /dev/sdb
    all there
    is $usb/1-1/product "Workgate stick"
    is $usb/1-2/product "Workgate keyboard"
    is $usb/1-4.2/product "Workgate mouse"
    is $usb/1-2:1.0/bInterfaceProtocol 01
    is $usb/1-4.2:1.0/bInterfaceProtocol 02
    for disk in sda sdb vda; do copy $disk; done
    loop_back
    for disk in sda sdb vda; do ($b dd if=/dev/zero of=/dev/$disk bs=64k count=200 oflag=direct 2>/dev/null &); done
    $b usleep 300000
    for slot in 3 4 5 1; do echo 0 > $pci/slots/$slot/power; done
    all gone
    for slot in 1 3 4 5; do echo 1 > $pci/slots/$slot/power; done
    round=$((round+1))
done
attached /dev/sdb
all there
for disk in sda sdb vda; do copy $disk; done

# What was in flight when its card was ejected has failed, and that is said by who asked for it: the block layer, and usbhid, whose next transfer finds
# no device (-19), and which on a slow host has the time to ask for a reset of it (-108: the controller is shut down). A probe of sbp2's that met a bus
# reset has been repeated above. Nothing else may be said.
gone="(status|error) -(19|108)$"
$b dmesg -r | $b grep "^<[0-4]>" | $b grep -iE "xhci|usb|hid|cdc_acm|firewire|sbp2|pciehp|virtio|edu" | $b grep -vE "$gone|firewire_sbp2: probe of fw[0-9]+.0 failed with error -12" > /complaints
[ -s /complaints ] && wrong "a driver complains: $($b cat /complaints)"
echo "guest: no driver complains"
$b poweroff -f
