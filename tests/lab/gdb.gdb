# What gdb does with a live machine: it breaks in a driver's willTerminate, looks at all threads, and lets the machine end.
set pagination off
set confirm off
set width 0
set breakpoint pending off
break holder.rs:51
continue
printf "LAB stopped\n"
info threads
thread apply all bt 12
monitor workloops
monitor registry
monitor latency
monitor showallstacks
stepi
printf "LAB stepped\n"
delete
detach
