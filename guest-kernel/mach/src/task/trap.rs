//! Traps: what user threads ask for. All arguments are hostile.

use super::table::Task;
use super::user::UserThread;
use crate::ipc::{self, Right};
use crate::kernel::Kernel;
use crate::wait::WaitMode;
use abi::message::option;
use abi::port::Right as PortRight;
use abi::space::{flag, protection};
use abi::{Disposition, KernReturn, Trap, notify};
use alloc::string::String;
use alloc::sync::Arc;

/// The value, or the code with a value.
type Answer = Result<u64, (KernReturn, u64)>;
/// The value, or the code.
type Plain = Result<u64, KernReturn>;

/// Carries a trap out.
pub(super) fn dispatch(user: &UserThread, trap: Trap, arguments: [u64; 6]) -> Answer {
    let plain = match trap {
        Trap::Message => return message(user, arguments),
        Trap::PortAllocate
        | Trap::PortDeallocate
        | Trap::PortDestroy
        | Trap::PortModReferences
        | Trap::PortGetReferences
        | Trap::PortType
        | Trap::PortMakeSend
        | Trap::PortMoveMember
        | Trap::PortSetQueueLimit
        | Trap::PortStatus
        | Trap::PortRequestNotification => port(user, trap, arguments),
        Trap::VmAllocate | Trap::VmDeallocate | Trap::VmProtect | Trap::VmCopy => {
            memory(user, trap, arguments)
        }
        Trap::TaskSelf
        | Trap::HostSelf
        | Trap::TaskTerminate
        | Trap::TaskSetExceptionPort
        | Trap::TaskInfo => task(user, trap, arguments),
        Trap::ThreadCreate
        | Trap::ThreadExit
        | Trap::ThreadTerminate
        | Trap::ThreadSelf
        | Trap::ThreadSwitch
        | Trap::Sleep
        | Trap::Now
        | Trap::Print => thread(user, trap, arguments),
    };
    plain.map_err(|why| (why, 0))
}

fn name(argument: u64) -> Result<u32, KernReturn> {
    u32::try_from(argument).map_err(|_| KernReturn::InvalidName)
}

fn kind(argument: u64) -> Result<PortRight, KernReturn> {
    PortRight::from_number(argument).ok_or(KernReturn::InvalidArgument)
}

fn message(user: &UserThread, [address, options, size, room, from, timeout]: [u64; 6]) -> Answer {
    let (kernel, task) = (user.kernel(), user.task());
    if options & !option::ALL != 0 || options & (option::SEND | option::RECEIVE) == 0 {
        return Err((KernReturn::InvalidArgument, 0));
    }
    let until = kernel.now().saturating_add(timeout);
    let deadline = |bit| (options & bit != 0).then_some(until);
    if options & option::SEND != 0 {
        ipc::send(kernel, task, (address, size), deadline(option::SEND_TIMEOUT)).map_err(|why| (why, 0))?;
    }
    if options & option::RECEIVE == 0 {
        return Ok(0);
    }
    let name = u32::try_from(from).map_err(|_| (KernReturn::ReceiveInvalidName, 0))?;
    let keeps_large = options & option::RECEIVE_LARGE != 0;
    let wanted =
        ipc::Wanted { name, address, room, keeps_large, deadline: deadline(option::RECEIVE_TIMEOUT) };
    ipc::receive(kernel, task, wanted)
}

fn port(user: &UserThread, trap: Trap, [a, b, c, d, e, _]: [u64; 6]) -> Plain {
    let (kernel, task) = (user.kernel(), user.task());
    let space = task.id();
    let unit = |()| 0;
    match trap {
        Trap::PortAllocate => {
            let kind = kind(a)?;
            kernel.allocate("port").map_err(|_| KernReturn::ResourceShortage)?;
            kernel.ipc(|ipc| ipc.allocate(kernel, (space, task.quota()), kind)).map(u64::from)
        }
        Trap::PortDeallocate => {
            let name = name(a)?;
            kernel.ipc(|ipc| ipc.deallocate(space, name)).map(unit)
        }
        Trap::PortDestroy => {
            let name = name(a)?;
            kernel.ipc(|ipc| ipc.destroy(space, name)).map(unit)
        }
        Trap::PortModReferences => {
            let (name, kind) = (name(a)?, kind(b)?);
            kernel.ipc(|ipc| ipc.mod_references(space, name, kind, c.cast_signed())).map(unit)
        }
        Trap::PortGetReferences => {
            let (name, kind) = (name(a)?, kind(b)?);
            kernel.ipc(|ipc| ipc.references(space, name, kind)).map(u64::from)
        }
        Trap::PortType => {
            let name = name(a)?;
            kernel.ipc(|ipc| ipc.kinds(space, name))
        }
        Trap::PortMakeSend => {
            let name = name(a)?;
            kernel.ipc(|ipc| ipc.make_send_here(space, name)).map(unit)
        }
        Trap::PortMoveMember => {
            let (name, set) = (name(a)?, name(b)?);
            kernel.ipc(|ipc| ipc.move_member(space, name, set)).map(unit)
        }
        Trap::PortSetQueueLimit => {
            let name = name(a)?;
            kernel.ipc(|ipc| ipc.set_limit(space, name, b)).map(unit)
        }
        Trap::PortStatus => {
            let name = name(a)?;
            kernel.ipc(|ipc| ipc.status(space, name))
        }
        _ => {
            let wanted = notification([a, b, c, d, e])?;
            kernel.ipc(|ipc| ipc.request(space, wanted)).map(u64::from)
        }
    }
}

fn notification(
    [about, id, sync, told, disposition]: [u64; 5],
) -> Result<ipc::WantedNotification, KernReturn> {
    let invalid = KernReturn::InvalidArgument;
    if !notify::is_requestable(id) {
        return Err(invalid);
    }
    let disposition = match told {
        0 => Disposition::MakeSendOnce,
        _ => u32::try_from(disposition).ok().and_then(Disposition::from_number).ok_or(invalid)?,
    };
    Ok(ipc::WantedNotification {
        name: name(about)?,
        id: id as u32,
        sync: u32::try_from(sync).map_err(|_| invalid)?,
        told: name(told)?,
        disposition,
    })
}

fn memory(user: &UserThread, trap: Trap, [a, b, c, ..]: [u64; 6]) -> Plain {
    let (kernel, map) = (user.kernel(), user.task().map());
    match trap {
        Trap::VmAllocate => {
            if c & !flag::ANYWHERE != 0 {
                return Err(KernReturn::InvalidArgument);
            }
            let address = (c & flag::ANYWHERE == 0).then_some(a);
            map.allocate(kernel, address, b, protection::READ | protection::WRITE)
        }
        Trap::VmDeallocate => map.deallocate(kernel, a, b).map(|()| 0),
        Trap::VmProtect => map.protect(kernel, a, b, c).map(|()| 0),
        _ => map.copy(kernel, a, b, c).map(|()| 0),
    }
}

fn task(user: &UserThread, trap: Trap, [a, ..]: [u64; 6]) -> Plain {
    let (kernel, task) = (user.kernel(), user.task());
    match trap {
        Trap::TaskSelf => {
            let own = task.own_port.lock(kernel).as_ref().map(|port| port.id());
            let own = own.ok_or(KernReturn::Terminated)?;
            give_send(kernel, task, own)
        }
        Trap::HostSelf => {
            let host = kernel.tasks.lock(kernel).host.as_ref().and_then(|host| host.port());
            give_send(kernel, task, host.ok_or(KernReturn::NotSupported)?)
        }
        Trap::TaskTerminate => {
            let victim = if a == 0 { task.clone() } else { named_task(kernel, task, name(a)?)? };
            victim.terminate(kernel);
            Ok(0)
        }
        Trap::TaskSetExceptionPort => set_exception_port(user, name(a)?),
        _ => Ok(usize::try_from(a).ok().and_then(|at| task.info.get(at)).copied().unwrap_or(0)),
    }
}

/// Gives the task a right to send to a port of the kernel's.
fn give_send(kernel: &Kernel, task: &Task, port: ipc::PortId) -> Plain {
    kernel.ipc(|ipc| {
        let right = ipc.make_send(port);
        ipc.put_right(task.id(), right).map(u64::from)
    })
}

/// The task that `name` is a right to send to.
fn named_task(kernel: &Kernel, task: &Task, name: u32) -> Result<Arc<Task>, KernReturn> {
    let object = kernel.ipc(|ipc| {
        let right = ipc.take_right(task.id(), name, Disposition::CopySend)?;
        let object = match &right {
            Right::Send(id) => ipc.port(*id).and_then(|port| port.object.clone()),
            _ => None,
        };
        ipc.release(right);
        Ok(object)
    })?;
    object.and_then(|object| object.as_task()).ok_or(KernReturn::InvalidTask)
}

fn set_exception_port(user: &UserThread, name: u32) -> Plain {
    let (kernel, task) = (user.kernel(), user.task());
    let right = kernel.ipc(|ipc| ipc.take_right(task.id(), name, Disposition::CopySend))?;
    let right = match right {
        Right::Null => None,
        right => Some(ipc::SendRight::new(kernel, right)),
    };
    if right.as_ref().is_some_and(|right| right.is_dead() || right.is_kernels()) {
        return Err(KernReturn::InvalidCapability);
    }
    let before = {
        let mut place = task.exception_port.lock(kernel);
        // One that comes after the task's end would not be given back.
        if task.is_terminating() {
            return Err(KernReturn::Terminated);
        }
        core::mem::replace(&mut *place, right)
    };
    drop(before);
    Ok(0)
}

fn thread(user: &UserThread, trap: Trap, [a, b, c, ..]: [u64; 6]) -> Plain {
    let (kernel, task) = (user.kernel(), user.task());
    match trap {
        Trap::ThreadCreate => task.start_thread(kernel, a, b, c).map(u64::from),
        Trap::ThreadExit => {
            user.exit(a);
            Ok(0)
        }
        Trap::ThreadTerminate => {
            let id = u32::try_from(a).map_err(|_| KernReturn::InvalidArgument)?;
            task.terminate_thread(kernel, id).map(|()| 0)
        }
        Trap::ThreadSelf => Ok(kernel.thread_id().into()),
        Trap::ThreadSwitch => {
            kernel.yield_now();
            Ok(0)
        }
        Trap::Sleep => sleep(kernel, a),
        Trap::Now => Ok(kernel.now()),
        _ => print(user, a, b),
    }
}

fn sleep(kernel: &Kernel, nanos: u64) -> Plain {
    if nanos > Trap::SLEEP_MAX {
        return Err(KernReturn::InvalidArgument);
    }
    let deadline = kernel.now().saturating_add(nanos);
    while kernel.now() < deadline && !kernel.is_stopped() {
        kernel.assert_wait(kernel.new_event(), WaitMode::Interruptible, Some(deadline));
        if kernel.block() == crate::wait::WaitResult::Interrupted {
            return Err(KernReturn::Aborted);
        }
    }
    Ok(0)
}

fn print(user: &UserThread, address: u64, bytes: u64) -> Plain {
    if bytes > Trap::PRINT_MAX {
        return Err(KernReturn::InvalidArgument);
    }
    let mut text = alloc::vec![0; bytes as usize];
    user.task().map().read(user.kernel(), address, &mut text)?;
    let text = String::from_utf8_lossy(&text);
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    user.kernel().log(format_args!("{}: {text}", user.task().name()));
    Ok(0)
}
