//! What this machine lets us use. Enters: the affinity mask, /proc and /sys. Leaves: CPUs with
//! their NUMA nodes and hardware threads, the cgroup's quota, and whether the CPUs are ours
//! alone. Keeps: what cannot be read is taken as absent, never as an error.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::affinity;

/// A CPU that we may run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpu {
    /// Its number.
    pub id: usize,
    /// Its NUMA node.
    pub node: usize,
    /// Which of the hardware threads of its core it is; 0: the first.
    pub thread: usize,
}

/// The machine, as far as a plan needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct Machine {
    /// CPUs in the affinity mask (hence in the cpuset), ascending.
    pub cpus: Vec<Cpu>,
    /// CPUs that are online in all.
    pub online: usize,
    /// CPU time per time that the cgroup allows, in CPUs; none: no limit.
    pub quota: Option<f64>,
    /// Nobody else is scheduled on these CPUs: an exclusive cpuset, or isolated CPUs.
    pub exclusive: bool,
}

impl Machine {
    /// This machine, now.
    pub fn read() -> Self {
        let allowed = affinity::get().unwrap_or_default();
        Self::read_at(Path::new("/"), &allowed)
    }

    /// As [`read`](Self::read), with /proc and /sys under `root` and this affinity mask.
    pub fn read_at(root: &Path, allowed: &[usize]) -> Self {
        let cpu_folder = root.join("sys/devices/system/cpu");
        let nodes = nodes(root);
        let cpus: Vec<Cpu> = allowed
            .iter()
            .map(|&id| {
                let siblings = cpu_folder.join(format!("cpu{id}/topology/thread_siblings_list"));
                let siblings = list(&siblings).unwrap_or_default();
                let thread = siblings.iter().position(|&sibling| sibling == id).unwrap_or(0);
                Cpu { id, node: nodes.get(&id).copied().unwrap_or(0), thread }
            })
            .collect();
        let groups = groups(root);
        let isolated = list(&cpu_folder.join("isolated")).unwrap_or_default();
        let all_isolated = !cpus.is_empty() && cpus.iter().all(|cpu| isolated.contains(&cpu.id));
        Self {
            online: list(&cpu_folder.join("online")).map_or(cpus.len(), |cpus| cpus.len()),
            quota: quota(&groups),
            exclusive: all_isolated || exclusive(&groups),
            cpus,
        }
    }

    /// CPUs that the quota lets us fill, at least one: the whole part of the quota.
    pub fn usable(&self) -> usize {
        let by_quota = self.quota.map_or(usize::MAX, |quota| quota.max(1.0) as usize);
        self.cpus.len().min(by_quota).max(1)
    }

    /// NUMA nodes of the CPUs.
    pub fn nodes(&self) -> usize {
        let mut nodes: Vec<usize> = self.cpus.iter().map(|cpu| cpu.node).collect();
        nodes.sort_unstable();
        nodes.dedup();
        nodes.len().max(1)
    }
}

/// A list such as `0-3,8` (Documentation/admin-guide/cputopology.rst); none: no such file, or not
/// a list. Not longer than any machine has CPUs.
fn list(path: &Path) -> Option<Vec<usize>> {
    parse_list(fs::read_to_string(path).ok()?.trim())
}

fn parse_list(text: &str) -> Option<Vec<usize>> {
    const CPUS_MAX: usize = 1 << 16;
    let mut all = Vec::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.parse::<usize>().ok()?, last.parse::<usize>().ok()?);
        if last >= CPUS_MAX {
            return None;
        }
        all.extend(first..=last);
    }
    Some(all)
}

fn nodes(root: &Path) -> BTreeMap<usize, usize> {
    let mut nodes = BTreeMap::new();
    let Ok(entries) = fs::read_dir(root.join("sys/devices/system/node")) else {
        return nodes;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("node")?.parse().ok());
        if let Some(node) = number {
            let cpus = list(&entry.path().join("cpulist")).unwrap_or_default();
            nodes.extend(cpus.into_iter().map(|cpu| (cpu, node)));
        }
    }
    nodes
}

/// Folders of our cgroup in one hierarchy, ours first, up to its mount point.
struct Group {
    v2: bool,
    folders: Vec<PathBuf>,
}

/// Our cgroups with a CPU controller, by /proc/self/cgroup and /proc/self/mountinfo (cgroups(7),
/// proc(5)).
fn groups(root: &Path) -> Vec<Group> {
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
    let (ours, mounts) = (read("proc/self/cgroup"), read("proc/self/mountinfo"));
    let mut groups = Vec::new();
    for line in ours.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let v2 = controllers.is_empty();
        let wanted = |name: &&str| *name == "cpu" || *name == "cpuset";
        let controller = controllers.split(',').find(wanted);
        if v2 || controller.is_some() {
            let found = mounts.lines().find_map(|line| mount(line, controller));
            if let Some((mount_root, mount_point)) = found {
                let folders = folders(root, &mount_root, &mount_point, path);
                groups.push(Group { v2, folders });
            }
        }
    }
    groups
}

/// Root and mount point of a mountinfo line, if it is that of `controller` (none: of cgroup v2).
fn mount(line: &str, controller: Option<&str>) -> Option<(String, String)> {
    let (front, back) = line.split_once(" - ")?;
    let mut front = front.split(' ').skip(3);
    let (root, point) = (front.next()?, front.next()?);
    let mut back = back.split(' ');
    let kind = back.next()?;
    let options = back.nth(1).unwrap_or_default();
    let fits = match controller {
        None => kind == "cgroup2",
        Some(name) => kind == "cgroup" && options.split(',').any(|option| option == name),
    };
    fits.then(|| (root.to_owned(), point.to_owned()))
}

fn folders(root: &Path, mount_root: &str, mount_point: &str, path: &str) -> Vec<PathBuf> {
    let top = root.join(mount_point.trim_start_matches('/'));
    let inside = path.strip_prefix(mount_root.trim_end_matches('/')).unwrap_or("");
    let mut folder = top.join(inside.trim_start_matches('/'));
    let mut folders = Vec::new();
    while folder.starts_with(&top) {
        folders.push(folder.clone());
        if !folder.pop() {
            break;
        }
    }
    folders
}

/// The least quota of our groups and those above.
fn quota(groups: &[Group]) -> Option<f64> {
    let number = |path: PathBuf| fs::read_to_string(path).ok()?.trim().parse::<f64>().ok();
    let of_folder = |v2: bool, folder: &PathBuf| {
        let (quota, period) = if v2 {
            let text = fs::read_to_string(folder.join("cpu.max")).ok()?;
            let mut fields = text.split_whitespace();
            (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?)
        } else {
            (number(folder.join("cpu.cfs_quota_us"))?, number(folder.join("cpu.cfs_period_us"))?)
        };
        (quota > 0.0 && period > 0.0).then_some(quota / period)
    };
    groups
        .iter()
        .flat_map(|group| group.folders.iter().filter_map(|folder| of_folder(group.v2, folder)))
        .min_by(f64::total_cmp)
}

/// Whether our own cpuset keeps everybody else out (cgroup v2: a partition; v1: cpu_exclusive).
fn exclusive(groups: &[Group]) -> bool {
    groups.iter().any(|group| {
        let says = |file: &str| {
            let folder = group.folders.first()?;
            Some(fs::read_to_string(folder.join(file)).ok()?.trim().to_owned())
        };
        if group.v2 {
            matches!(says("cpuset.cpus.partition").as_deref(), Some("root" | "isolated"))
        } else {
            // The top group says 1 too, and everybody is in it.
            group.folders.len() > 1 && says("cpuset.cpu_exclusive").as_deref() == Some("1")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    const V2: &str = "30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
    const V1: &str = "33 24 0:29 /docker/x /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup \
                      rw,cpu,cpuacct\n34 24 0:30 /docker/x /sys/fs/cgroup/cpuset ro - cgroup \
                      cgroup rw,cpuset\n";

    /// Goal: CPU lists are read as the kernel writes them, and nothing else. Method: examples.
    #[test]
    fn lists() {
        assert_eq!(parse_list("0-2,8,10-11"), Some(vec![0, 1, 2, 8, 10, 11]));
        assert_eq!(parse_list(""), Some(vec![]));
        assert_eq!(parse_list("0-"), None);
        assert_eq!(parse_list("0-99999999"), None);
    }

    /// Goal: nodes, threads and the tightest quota of cgroup v2 are found. Method: a written-down
    /// machine of two nodes with two threads a core, and a quota on a group above ours.
    #[test]
    fn h12_reads_a_v2_machine() {
        let root = tree(&[
            ("proc/self/mountinfo", V2),
            ("proc/self/cgroup", "0::/system.slice/penstock.service\n"),
            ("sys/fs/cgroup/system.slice/cpu.max", "250000 100000\n"),
            ("sys/fs/cgroup/system.slice/penstock.service/cpu.max", "max 100000\n"),
            ("sys/devices/system/cpu/online", "0-7\n"),
            ("sys/devices/system/cpu/cpu1/topology/thread_siblings_list", "1,5\n"),
            ("sys/devices/system/cpu/cpu5/topology/thread_siblings_list", "1,5\n"),
            ("sys/devices/system/node/node0/cpulist", "0-1,4-5\n"),
            ("sys/devices/system/node/node1/cpulist", "2-3,6-7\n"),
        ]);
        let machine = Machine::read_at(root.path(), &[1, 3, 5, 6]);
        let cpu = |id, node, thread| Cpu { id, node, thread };
        let expected = Machine {
            cpus: vec![cpu(1, 0, 0), cpu(3, 1, 0), cpu(5, 0, 1), cpu(6, 1, 0)],
            online: 8,
            quota: Some(2.5),
            exclusive: false,
        };
        assert_eq!(machine, expected);
        assert_eq!((machine.usable(), machine.nodes()), (2, 2));
    }

    /// Goal: a container's quota and cpuset are found in cgroup v1, seen from inside. Method: mounts
    /// whose root is the container's own group.
    #[test]
    fn h12_reads_a_v1_container() {
        let root = tree(&[
            ("proc/self/mountinfo", V1),
            ("proc/self/cgroup", "4:cpuset:/docker/x/y\n3:cpu,cpuacct:/docker/x\n"),
            ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "50000\n"),
            ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
            ("sys/fs/cgroup/cpuset/cpuset.cpu_exclusive", "1\n"),
            ("sys/fs/cgroup/cpuset/y/cpuset.cpu_exclusive", "0\n"),
        ]);
        let machine = Machine::read_at(root.path(), &[0, 1]);
        assert_eq!(machine.quota, Some(0.5));
        assert_eq!(machine.usable(), 1);
        assert!(!machine.exclusive);
        fs::write(root.path().join("sys/fs/cgroup/cpuset/y/cpuset.cpu_exclusive"), "1").unwrap();
        assert!(Machine::read_at(root.path(), &[0, 1]).exclusive);
    }

    /// Goal: no quota is no quota, and CPUs are ours only when kept for us. Method: -1 in v1, a v2
    /// partition, isolated CPUs, and nothing at all.
    #[test]
    fn h12_exclusive_or_not() {
        let none = tree(&[]);
        let machine = Machine::read_at(none.path(), &[0, 1, 2]);
        assert_eq!((machine.usable(), machine.quota, machine.exclusive), (3, None, false));

        let partition = tree(&[
            ("proc/self/mountinfo", V2),
            ("proc/self/cgroup", "0::/p\n"),
            ("sys/fs/cgroup/p/cpuset.cpus.partition", "isolated\n"),
        ]);
        assert!(Machine::read_at(partition.path(), &[4]).exclusive);
        let path = partition.path().join("sys/fs/cgroup/p/cpuset.cpus.partition");
        fs::write(path, "isolated invalid (Cpu list in cpuset.cpus not exclusive)\n").unwrap();
        assert!(!Machine::read_at(partition.path(), &[4]).exclusive);

        let isolated = tree(&[("sys/devices/system/cpu/isolated", "2-3\n")]);
        assert!(Machine::read_at(isolated.path(), &[2, 3]).exclusive);
        assert!(!Machine::read_at(isolated.path(), &[1, 2]).exclusive);

        let unlimited = tree(&[
            ("proc/self/mountinfo", V1),
            ("proc/self/cgroup", "3:cpu,cpuacct:/docker/x\n"),
            ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n"),
            ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
        ]);
        assert_eq!(Machine::read_at(unlimited.path(), &[0]).quota, None);
    }

    /// Goal: this machine can be read. Method: read it.
    #[test]
    fn this_machine() {
        let machine = Machine::read();
        assert!(!machine.cpus.is_empty());
        assert!(machine.online >= machine.cpus.len());
    }
}
