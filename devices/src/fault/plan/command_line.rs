//! What the guest is told of a plan: words for its kernel command line.

use super::{Era, Plan};

/// Options of a device that concern its driver, and so go to the guest.
const DRIVER_OPTIONS: [&str; 2] = ["driver", "irq"];

impl Plan {
    /// The words for the guest's kernel command line, separated by spaces: `slot.N=name:…` for each device (absent ones
    /// too), `load.N=clients:…,depth:…[,as:tasks]` for each workload, `era=…` where the plan has one that is not the default.
    pub fn guest_command_line(&self) -> String {
        let mut words = Vec::new();
        for plug in &self.plugs {
            let mut word = format!("slot.{}=name:{}", plug.slot, plug.name);
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
                words
                    .push(format!("load.{}=clients:{},depth:{}{tasks}", plug.slot, load.clients, load.depth));
            }
        }
        if self.era != Era::default() {
            words.push(format!("era={}", self.era.word()));
        }
        words.join(" ")
    }
}
