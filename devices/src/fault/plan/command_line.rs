//! What the guest is told of a plan: words for its kernel command line.

use super::{Era, Plan, Preemption};

/// Options of a device that concern its driver, and so go to the guest.
const DRIVER_OPTIONS: [&str; 2] = ["driver", "irq"];

impl Plan {
    /// The words for the guest's kernel command line, separated by spaces: `slot.N=name:…` for each device (absent ones
    /// too), with `,at:3.1.2` for what is behind a controller (the controller's slot, its port, then the port of each hub on the way), `load.N=clients:…,depth:…[,as:tasks]` for each workload, `thread.N=…` for each thread, `push=off`, `failsafe=NS`, `overstay=NS`, `debounce=NS`, `era=…` and
    /// `preemption=…` where the plan has one that is not the default.
    pub fn guest_command_line(&self) -> String {
        let mut words = Vec::new();
        for plug in &self.plugs {
            let mut word = format!("slot.{}=name:{}", plug.slot, plug.name);
            if let Some((card, ports)) = plug.on().and_then(|_| self.path(plug)) {
                let ports: String = ports.iter().map(|port| format!(".{port}")).collect();
                word.push_str(&format!(",at:{card}{ports}"));
            }
            for key in DRIVER_OPTIONS {
                if let Some(value) = plug.options.get(key) {
                    word.push_str(&format!(",{key}:{value}"));
                }
            }
            words.push(word);
        }
        for load in &self.loads {
            if let Some(plug) = self.plug_named(&load.device) {
                let tasks = if load.tasks { ",as:tasks" } else { "" };
                let size = load.size.map_or(String::new(), |bytes| format!(",size:{bytes}"));
                let (clients, depth) = (load.clients, load.depth);
                words.push(format!("load.{}=clients:{clients},depth:{depth}{size}{tasks}", plug.slot));
            }
        }
        for (n, thread) in self.threads.iter().enumerate() {
            let slot = thread.gate.as_deref().and_then(|gate| self.plug_named(gate)).map(|plug| plug.slot);
            words.push(thread.guest_word(n + 1, slot));
        }
        if !self.push {
            words.push("push=off".to_owned());
        }
        if let Some(time) = self.fail_safe {
            words.push(format!("failsafe={time}"));
        }
        if let Some(time) = self.overstay {
            words.push(format!("overstay={time}"));
        }
        if let Some(time) = self.debounce {
            words.push(format!("debounce={time}"));
        }
        if self.era != Era::default() {
            words.push(format!("era={}", self.era.word()));
        }
        if self.preemption != Preemption::default() {
            words.push(format!("preemption={}", self.preemption.word()));
        }
        words.join(" ")
    }
}
