//! The process, as the kernel counts it, under the names that Prometheus's client libraries have in common.

use std::fmt;
use std::fs;
use std::io;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};
use tracing::warn;

use super::sheet::Sheet;

/// Reads `/proc` at each scrape.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let usage = match Usage::read() {
            Ok(usage) => usage,
            Err(error) => {
                warn!(%error, "the process was not measured");
                return Ok(());
            }
        };
        let mut sheet = Sheet::new(encoder);
        let help = "Processor time that the process took, in user and system mode";
        sheet.fraction_counter("process_cpu_seconds", help, usage.cpu_seconds)?;
        sheet.gauge("process_resident_memory_bytes", "Memory of the process that is in RAM", usage.resident_bytes)?;
        sheet.gauge("process_virtual_memory_bytes", "Address space of the process", usage.virtual_bytes)?;
        sheet.gauge("process_threads", "Threads of the process", usage.threads)?;
        sheet.gauge("process_open_fds", "Files and sockets that the process has open", usage.open_files)?;
        let most = getrlimit(Resource::Nofile).current.map(|most| most as f64);
        sheet.gauge_if_known("process_max_fds", "The most of them that it may have open", most)?;
        let help = "When the process was started, in Unix time";
        sheet.gauge("process_start_time_seconds", help, usage.started_seconds)
    }
}

/// What the process takes now.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Usage {
    cpu_seconds: f64,
    resident_bytes: f64,
    virtual_bytes: f64,
    threads: f64,
    open_files: f64,
    started_seconds: f64,
}

impl Usage {
    fn read() -> io::Result<Self> {
        let (stat, machine) = (fs::read_to_string("/proc/self/stat")?, fs::read_to_string("/proc/stat")?);
        // The folder itself is open while it is listed.
        let open_files = fs::read_dir("/proc/self/fd")?.count().saturating_sub(1);
        let read = Self::parse(&stat, &machine, open_files);
        read.ok_or_else(|| io::Error::other("/proc is not as this build expects it"))
    }

    /// Of `/proc/self/stat` the fields by their numbers in proc(5), and of `/proc/stat` when the machine was started.
    fn parse(stat: &str, machine: &str, open_files: usize) -> Option<Self> {
        // The name before the parenthesis may hold anything.
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        let booted = machine.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse::<f64>().ok()?;
        let ticks = clock_ticks_per_second() as f64;
        Some(Self {
            cpu_seconds: (field(14)? + field(15)?) / ticks,
            threads: field(20)?,
            started_seconds: booted + field(22)? / ticks,
            virtual_bytes: field(23)?,
            resident_bytes: field(24)? * page_size() as f64,
            open_files: open_files as f64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 9 0 1000 4096 2 1 1\n";
        let ticks = clock_ticks_per_second() as f64;
        let expected = Usage {
            cpu_seconds: 200.0 / ticks,
            resident_bytes: 2.0 * page_size() as f64,
            virtual_bytes: 4096.0,
            threads: 9.0,
            open_files: 5.0,
            started_seconds: 1_700_000_000.0 + 1_000.0 / ticks,
        };
        assert_eq!(Usage::parse(stat, "cpu 1\nbtime 1700000000\n", 5), Some(expected));
        assert_eq!(Usage::parse("7 (etebar-node", "btime 1\n", 0), None);
    }

    #[test]
    fn this_process_is_read() {
        let usage = Usage::read().unwrap();
        assert!(usage.resident_bytes > 0.0 && usage.threads >= 1.0 && usage.open_files >= 3.0, "{usage:?}");
    }
}
