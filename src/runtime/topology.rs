//! Which role runs on which core (HAZARDS H12). Enters: the machine and the configured cores.
//! Leaves: a plan, and the table that `penstock topology` prints. Keeps: the plan is a pure
//! function of both; cores are pinned only if the CPUs are ours alone or the plan is explicit.

use std::fmt::Write as _;

use super::machine::{Cpu, Machine};
use super::{Backend, Core, CoreConfig, Probe, affinity, confine_housekeeping};
use crate::error::{Error, Result};

/// Most cores that `auto` takes: beyond, one log cannot fill them. An explicit plan may.
const AUTO_CORES_MAX: usize = 16;

/// One core of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedCore {
    /// The CPU that it is pinned to; none: the operating system chooses.
    pub cpu: Option<usize>,
    /// NUMA node of its CPU, if it is pinned.
    pub node: Option<usize>,
}

/// Cores, and what else the process needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Cores, in order; at least one.
    pub cores: Vec<PlannedCore>,
    /// CPUs of the housekeeping threads (sinks, files, DNS); empty: anywhere.
    pub housekeeping: Vec<usize>,
    /// Why it is like this, for the log and the table.
    pub notes: Vec<String>,
}

/// Where the roles of one pipeline run: indices into [`Plan::cores`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Reader and coordinator.
    pub reader: usize,
    /// Shards, in their order; at least one.
    pub shards: Vec<usize>,
}

/// The plan for this machine. `cores`: an explicit list of CPUs; `None`: `auto`.
///
/// Errors: `runtime-cores` (Usage) for a CPU that is listed twice or that we may not use.
pub fn plan(machine: &Machine, cores: Option<&[usize]>) -> Result<Plan> {
    match cores {
        Some(cores) if !cores.is_empty() => explicit(machine, cores),
        _ => Ok(auto(machine)),
    }
}

fn explicit(machine: &Machine, cores: &[usize]) -> Result<Plan> {
    let mut chosen: Vec<Cpu> = Vec::new();
    for &id in cores {
        let Some(cpu) = machine.cpus.iter().find(|cpu| cpu.id == id) else {
            let allowed = ranges(machine.cpus.iter().map(|cpu| cpu.id));
            let what = format!("CPU {id} of `runtime.cores` may not be used here");
            return Err(Error::usage("runtime-cores", what)
                .hint(format!("this process may use the CPUs {allowed}")));
        };
        if chosen.contains(cpu) {
            let what = format!("CPU {id} is twice in `runtime.cores`");
            return Err(Error::usage("runtime-cores", what).hint("list each CPU once"));
        }
        chosen.push(*cpu);
    }
    let mut notes = vec!["pinned: the configuration lists the cores".to_owned()];
    if let Some(quota) = machine.quota.filter(|&quota| quota < cores.len() as f64) {
        notes.push(format!("the cgroup's quota of {quota} CPUs will throttle these cores"));
    }
    Ok(pinned(machine, &chosen, notes))
}

fn auto(machine: &Machine) -> Plan {
    let usable = machine.usable();
    let count = usable.min(AUTO_CORES_MAX);
    let mut notes = Vec::new();
    if usable < machine.cpus.len() {
        let quota = machine.quota.unwrap_or_default();
        notes.push(format!("the cgroup's quota of {quota} CPUs counts, not the CPUs"));
    }
    if count < usable {
        notes.push(format!("`auto` takes {count} cores at most; list more if you want them"));
    }
    if !machine.exclusive {
        notes.push("not pinned: others may run on these CPUs too".to_owned());
        let core = PlannedCore { cpu: None, node: None };
        return Plan { cores: vec![core; count], housekeeping: Vec::new(), notes };
    }
    notes.push("pinned: these CPUs are ours alone".to_owned());
    let mut order = machine.cpus.clone();
    // The node with most CPUs first, so that ring, segments and shards stay together; one
    // hardware thread of each core before the second of any.
    let on_node = |node| machine.cpus.iter().filter(|cpu| cpu.node == node).count();
    order.sort_by_key(|cpu| (usize::MAX - on_node(cpu.node), cpu.node, cpu.thread, cpu.id));
    order.truncate(count);
    pinned(machine, &order, notes)
}

fn pinned(machine: &Machine, chosen: &[Cpu], mut notes: Vec<String>) -> Plan {
    let core = |cpu: &Cpu| PlannedCore { cpu: Some(cpu.id), node: Some(cpu.node) };
    let left = machine.cpus.iter().filter(|cpu| !chosen.contains(cpu));
    let housekeeping: Vec<usize> = left.map(|cpu| cpu.id).collect();
    if housekeeping.is_empty() {
        notes.push("housekeeping shares the cores: no CPU is left for it".to_owned());
    }
    Plan { cores: chosen.iter().map(core).collect(), housekeeping, notes }
}

impl Plan {
    /// Whether the cores are pinned.
    pub fn is_pinned(&self) -> bool {
        self.cores.iter().any(|core| core.cpu.is_some())
    }

    /// Shards of each pipeline: the cores but the reader's, or the one core.
    pub fn shards(&self) -> usize {
        (self.cores.len() - 1).max(1)
    }

    /// Where the roles of pipeline number `pipeline` run. Readers of different pipelines take
    /// different cores as long as there are any; shards take the others, nearest first.
    pub fn place(&self, pipeline: usize) -> Placement {
        let count = self.cores.len();
        let reader = pipeline % count;
        if count == 1 {
            return Placement { reader, shards: vec![0] };
        }
        let mut shards: Vec<usize> = (1..count).map(|step| (reader + step) % count).collect();
        shards.sort_by_key(|&core| self.cores[core].node != self.cores[reader].node);
        Placement { reader, shards }
    }

    /// Confines this thread and the housekeeping threads to what the plan leaves them; threads
    /// that are started from here later inherit it. Called before any of them is.
    pub fn confine(&self) {
        if !self.is_pinned() || self.housekeeping.is_empty() {
            return;
        }
        confine_housekeeping(self.housekeeping.clone());
        if let Err(e) = affinity::set(&self.housekeeping) {
            tracing::warn!("housekeeping is not confined: {e}");
        }
    }

    /// Starts the cores.
    ///
    /// Errors: those of [`Core::launch`].
    pub fn launch(&self, backend: Backend) -> Result<Vec<Core>> {
        let launch = |(index, core): (usize, &PlannedCore)| {
            let name = format!("ps-core-{index}");
            Core::launch(CoreConfig { backend, cpu: core.cpu, name })
        };
        self.cores.iter().enumerate().map(launch).collect()
    }
}

/// The table of `penstock topology`: the machine, the event loop, the cores with their roles, and
/// why. `pipelines`: their names in order; without any, the roles of one.
pub fn table(machine: &Machine, plan: &Plan, probe: &Probe, pipelines: &[&str]) -> String {
    let mut out = String::new();
    let allowed = ranges(machine.cpus.iter().map(|cpu| cpu.id));
    let quota = machine.quota.map_or_else(|| "none".to_owned(), |quota| format!("{quota} CPUs"));
    let mut line = |name: &str, text: &str| {
        let _ = writeln!(out, "{name:<14}{text}");
    };
    line("event loop", &probe.reason);
    if let Some(hint) = &probe.hint {
        line("", &format!("io_uring: {hint}"));
    }
    line("CPUs", &format!("{} of {} usable: {allowed}", machine.cpus.len(), machine.online));
    line("NUMA nodes", &machine.nodes().to_string());
    line("cgroup quota", &quota);
    for note in &plan.notes {
        line("", note);
    }
    let house = ranges(plan.housekeeping.iter().copied());
    line("housekeeping", if house.is_empty() { "any CPU" } else { &house });
    let _ = writeln!(out, "\n{:<6}{:<6}{:<6}roles", "core", "CPU", "node");
    let names = if pipelines.is_empty() { &[""][..] } else { pipelines };
    for (index, core) in plan.cores.iter().enumerate() {
        let text = |value: Option<usize>| value.map_or_else(|| "any".into(), |v| v.to_string());
        let roles: Vec<String> = names
            .iter()
            .enumerate()
            .filter_map(|(number, name)| roles(&plan.place(number), index, name))
            .collect();
        let (cpu, node) = (text(core.cpu), text(core.node));
        let _ = writeln!(out, "{index:<6}{cpu:<6}{node:<6}{}", roles.join("; "));
    }
    out
}

/// What a pipeline does on one core, in words.
fn roles(placement: &Placement, core: usize, pipeline: &str) -> Option<String> {
    let mut roles = Vec::new();
    if placement.reader == core {
        roles.push("reader, coordinator".to_owned());
    }
    let shards = placement.shards.iter().enumerate().filter(|(_, on)| **on == core);
    roles.extend(shards.map(|(shard, _)| format!("shard {shard}")));
    if roles.is_empty() {
        return None;
    }
    let roles = roles.join(", ");
    Some(if pipeline.is_empty() { roles } else { format!("{pipeline}: {roles}") })
}

/// Numbers as `0-3,8`.
fn ranges(numbers: impl Iterator<Item = usize>) -> String {
    let mut numbers: Vec<usize> = numbers.collect();
    numbers.sort_unstable();
    let mut parts: Vec<(usize, usize)> = Vec::new();
    for number in numbers {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => parts.push((number, number)),
        }
    }
    let text = |(first, last)| {
        if first == last { format!("{first}") } else { format!("{first}-{last}") }
    };
    parts.into_iter().map(text).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `nodes` × `cores` × `threads`, numbered as Linux does: first threads of all, then second.
    fn machine(nodes: usize, cores: usize, threads: usize, exclusive: bool) -> Machine {
        let cpus = (0..nodes * cores * threads)
            .map(|id| Cpu { id, node: id / cores % nodes, thread: id / (cores * nodes) })
            .collect::<Vec<_>>();
        Machine { online: cpus.len(), cpus, quota: None, exclusive }
    }

    fn cpus(plan: &Plan) -> Vec<Option<usize>> {
        plan.cores.iter().map(|core| core.cpu).collect()
    }

    /// Goal: a quota below the CPUs wins, and shared CPUs are never pinned. Method: a host of 64
    /// with a quota of 2, of 1.5, of 0.2, and none.
    #[test]
    fn h12_auto_counts_quota_and_does_not_pin_shared_cpus() {
        let mut host = machine(1, 64, 1, false);
        for (quota, cores) in [(Some(2.0), 2), (Some(1.5), 1), (Some(0.2), 1), (None, 16)] {
            host.quota = quota;
            let plan = plan(&host, None).unwrap();
            assert_eq!(cpus(&plan), vec![None; cores]);
            assert!(!plan.is_pinned() && plan.housekeeping.is_empty());
        }
    }

    /// Goal: one core does all, two part reader and shard, sixteen go by the same code. Method: the
    /// placement on each.
    #[test]
    fn roles_on_one_two_and_sixteen_cores() {
        let place =
            |cores, pipeline| plan(&machine(1, cores, 1, true), None).unwrap().place(pipeline);
        assert_eq!(place(1, 0), Placement { reader: 0, shards: vec![0] });
        assert_eq!(place(1, 7), Placement { reader: 0, shards: vec![0] });
        assert_eq!(place(2, 0), Placement { reader: 0, shards: vec![1] });
        assert_eq!(place(2, 1), Placement { reader: 1, shards: vec![0] });
        assert_eq!(place(16, 0), Placement { reader: 0, shards: (1..16).collect() });
        let shards = (4..16).chain(0..3).collect();
        assert_eq!(place(16, 3), Placement { reader: 3, shards });
    }

    /// Goal: exclusive CPUs are pinned, a node at a time, whole cores first; housekeeping gets the
    /// rest. Method: two nodes of 12 cores with two threads each.
    #[test]
    fn pins_near_cpus_and_leaves_the_rest() {
        let plan = plan(&machine(2, 12, 2, true), None).unwrap();
        let expected: Vec<_> = (0..12).chain(24..28).map(Some).collect();
        assert_eq!(cpus(&plan), expected);
        assert_eq!(plan.housekeeping, (12..24).chain(28..48).collect::<Vec<_>>());
        assert!(plan.cores.iter().all(|core| core.node == Some(0)));
    }

    /// Goal: shards of the reader's node come first. Method: an explicit plan over two nodes.
    #[test]
    fn near_shards_come_first() {
        let plan = plan(&machine(2, 4, 1, false), Some(&[0, 4, 1, 5])).unwrap();
        assert_eq!(plan.place(0).shards, [2, 1, 3]);
        assert_eq!(plan.place(1).shards, [3, 2, 0]);
        assert_eq!(plan.housekeeping, [2, 3, 6, 7]);
    }

    /// Goal: an explicit plan is obeyed or refused in words. Method: a CPU that is not ours, one
    /// listed twice, and a plan beyond the quota.
    #[test]
    fn explicit_plans() {
        let mut two = machine(1, 2, 1, false);
        let refused = plan(&two, Some(&[0, 7])).unwrap_err();
        assert_eq!(refused.code, "runtime-cores");
        assert_eq!(refused.hint.as_deref(), Some("this process may use the CPUs 0-1"));
        assert_eq!(
            plan(&two, Some(&[1, 1])).unwrap_err().what,
            "CPU 1 is twice in `runtime.cores`"
        );
        two.quota = Some(1.0);
        let plan = plan(&two, Some(&[1, 0])).unwrap();
        assert_eq!(cpus(&plan), [Some(1), Some(0)]);
        assert_eq!(plan.notes.len(), 3);
    }

    /// Goal: the table says everything. Method: exact text for a small machine and two pipelines.
    #[test]
    fn table_is_exact() {
        let mut small = machine(1, 2, 1, false);
        small.quota = Some(1.5);
        let probe = Probe {
            backend: Backend::Epoll,
            reason: "epoll: the configuration says so".into(),
            hint: None,
        };
        let plan = plan(&small, Some(&[0, 1])).unwrap();
        let expected = "\
event loop    epoll: the configuration says so
CPUs          2 of 2 usable: 0-1
NUMA nodes    1
cgroup quota  1.5 CPUs
              pinned: the configuration lists the cores
              the cgroup's quota of 1.5 CPUs will throttle these cores
              housekeeping shares the cores: no CPU is left for it
housekeeping  any CPU

core  CPU   node  roles
0     0     0     shop: reader, coordinator; bank: shard 0
1     1     0     shop: shard 0; bank: reader, coordinator
";
        assert_eq!(table(&small, &plan, &probe, &["shop", "bank"]), expected);
    }

    /// Goal: a launched plan runs where it says. Method: one core pinned to our last CPU, on each
    /// backend; the core asks its own mask.
    #[test]
    fn launched_cores_are_where_the_plan_says() {
        let machine = Machine::read();
        let last = machine.cpus.last().unwrap().id;
        let plan = plan(&machine, Some(&[last])).unwrap();
        for backend in crate::runtime::tests::backends() {
            for core in plan.launch(backend).unwrap() {
                let mask = core.spawn(|| async { affinity::get().unwrap() }).join();
                assert_eq!(mask, Ok(vec![last]));
                core.join();
            }
        }
    }
}
