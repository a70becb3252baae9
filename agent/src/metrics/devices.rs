//! Metrics of block devices: what the kernel counts, and the log pages.

use super::family::Families;
use super::node::number;
use crate::daemon::state::{Counters, DiskReading, Queue, Readings, Snapshot};
use crate::nvme::amazon::{Amazon, Histogram};
use crate::nvme::smart::{Smart, Warning};

pub(super) fn tell(snapshot: &Snapshot, readings: &Readings, out: &mut Families) {
    for disk in snapshot.measured() {
        if let Some(reading) = readings.disks.get(&disk.id) {
            tell_disk(&disk.id, reading, out);
        }
    }
    for pool in &snapshot.pools {
        let reading = readings.pools.get(&pool.label);
        if let Some(io) = reading.and_then(|reading| reading.io) {
            counters(POOL, ("pool", &pool.label), &io, out);
        }
    }
}

fn tell_disk(id: &str, reading: &DiskReading, out: &mut Families) {
    if let Some(io) = &reading.io {
        counters(DISK, ("disk", id), io, out);
    }
    if let Some(told) = &reading.queue {
        queue(id, told, out);
    }
    for (page, good) in &reading.pages {
        out.gauge(
            "instore_nvme_log_page_up",
            "Whether the last reading of a log page was good.",
            &[("disk", id), ("page", page.word())],
            f64::from(u8::from(*good)),
        );
    }
    if let Some(told) = &reading.smart {
        smart(id, told, out);
    }
    if let Some(told) = &reading.amazon {
        amazon(id, told, out);
    }
}

/// The names of what is counted, for a disk or a pool.
struct Names {
    counted: [(&'static str, &'static str); 9],
    in_flight: &'static str,
}

const DISK: &Names = &Names {
    counted: [
        ("instore_disk_reads_total", "Reads completed."),
        ("instore_disk_read_bytes_total", "Bytes read."),
        (
            "instore_disk_read_seconds_total",
            "Time of all reads, added up.",
        ),
        ("instore_disk_writes_total", "Writes completed."),
        ("instore_disk_written_bytes_total", "Bytes written."),
        (
            "instore_disk_write_seconds_total",
            "Time of all writes, added up.",
        ),
        ("instore_disk_discards_total", "Discards completed."),
        ("instore_disk_discarded_bytes_total", "Bytes discarded."),
        (
            "instore_disk_io_seconds_total",
            "Time in which anything was in flight.",
        ),
    ],
    in_flight: "instore_disk_io_in_flight",
};

const POOL: &Names = &Names {
    counted: [
        ("instore_pool_reads_total", "Reads completed."),
        ("instore_pool_read_bytes_total", "Bytes read."),
        (
            "instore_pool_read_seconds_total",
            "Time of all reads, added up.",
        ),
        ("instore_pool_writes_total", "Writes completed."),
        ("instore_pool_written_bytes_total", "Bytes written."),
        (
            "instore_pool_write_seconds_total",
            "Time of all writes, added up.",
        ),
        ("instore_pool_discards_total", "Discards completed."),
        ("instore_pool_discarded_bytes_total", "Bytes discarded."),
        (
            "instore_pool_io_seconds_total",
            "Time in which anything was in flight.",
        ),
    ],
    in_flight: "instore_pool_io_in_flight",
};

fn counters(names: &Names, label: (&str, &str), io: &Counters, out: &mut Families) {
    let seconds = |ms: u64| number(ms) / 1e3;
    let values = [
        number(io.reads),
        number(io.read_bytes),
        seconds(io.read_ms),
        number(io.writes),
        number(io.written_bytes),
        seconds(io.write_ms),
        number(io.discards),
        number(io.discarded_bytes),
        seconds(io.busy_ms),
    ];
    for (&(name, help), value) in names.counted.iter().zip(values) {
        out.counter(name, help, &[label], value);
    }
    out.gauge(
        names.in_flight,
        "Requests in flight.",
        &[label],
        number(io.in_flight),
    );
}

fn queue(id: &str, queue: &Queue, out: &mut Families) {
    let labels = [("disk", id)];
    out.gauge(
        "instore_disk_queue_requests",
        "Requests the queue may hold.",
        &labels,
        number(queue.requests),
    );
    out.gauge(
        "instore_disk_read_ahead_bytes",
        "Bytes read ahead.",
        &labels,
        number(queue.read_ahead),
    );
    out.gauge(
        "instore_disk_queue_info",
        "Settings of the queue.",
        &[
            ("disk", id),
            ("scheduler", &queue.scheduler),
            ("write_cache", &queue.write_cache),
        ],
        1.0,
    );
}

fn smart(id: &str, smart: &Smart, out: &mut Families) {
    for warning in Warning::ALL {
        let is = smart.warnings().any(|w| w == warning);
        out.gauge(
            "instore_nvme_critical_warning",
            "Whether the controller warns of this.",
            &[("disk", id), ("warning", warning.word())],
            f64::from(u8::from(is)),
        );
    }
    for (sensor, celsius) in (1..).zip(smart.sensors) {
        let number: u8 = sensor;
        if let Some(celsius) = celsius {
            out.gauge(
                "instore_nvme_sensor_temperature_celsius",
                "Temperature of one sensor.",
                &[("disk", id), ("sensor", &number.to_string())],
                f64::from(celsius),
            );
        }
    }
    let labels = [("disk", id)];
    if let Some(celsius) = smart.temperature {
        out.gauge(
            "instore_nvme_temperature_celsius",
            "Temperature of the controller.",
            &labels,
            f64::from(celsius),
        );
    }
    let share = |percent: u8| f64::from(percent) / 100.0;
    for (name, help, value) in [
        (
            "instore_nvme_spare_ratio",
            "Spare capacity left.",
            share(smart.spare),
        ),
        (
            "instore_nvme_spare_threshold_ratio",
            "Below this the spare is low.",
            share(smart.spare_threshold),
        ),
        (
            "instore_nvme_used_ratio",
            "Wear: 1 is the life that was promised; may be more.",
            share(smart.used),
        ),
    ] {
        out.gauge(name, help, &labels, value);
    }
    for (name, help, value) in [
        (
            "instore_nvme_read_bytes_total",
            "Bytes the host read.",
            smart.read_bytes,
        ),
        (
            "instore_nvme_written_bytes_total",
            "Bytes the host wrote.",
            smart.write_bytes,
        ),
        (
            "instore_nvme_host_reads_total",
            "Read commands.",
            smart.read_ops,
        ),
        (
            "instore_nvme_host_writes_total",
            "Write commands.",
            smart.write_ops,
        ),
        (
            "instore_nvme_busy_seconds_total",
            "Time the controller was busy.",
            smart.busy_seconds,
        ),
        (
            "instore_nvme_power_cycles_total",
            "Power cycles.",
            smart.power_cycles,
        ),
        (
            "instore_nvme_power_on_seconds_total",
            "Time with power.",
            smart.power_on_seconds,
        ),
        (
            "instore_nvme_unsafe_shutdowns_total",
            "Losses of power without notice.",
            smart.unsafe_shutdowns,
        ),
        (
            "instore_nvme_media_errors_total",
            "Errors of the medium.",
            smart.media_errors,
        ),
        (
            "instore_nvme_error_log_entries_total",
            "Entries of the error log.",
            smart.error_log_entries,
        ),
        (
            "instore_nvme_warning_temperature_seconds_total",
            "Time above the temperature of warning.",
            smart.warning_temperature_seconds,
        ),
        (
            "instore_nvme_critical_temperature_seconds_total",
            "Time above the critical temperature.",
            smart.critical_temperature_seconds,
        ),
    ] {
        out.counter(name, help, &labels, number(value));
    }
}

fn amazon(id: &str, page: &Amazon, out: &mut Families) {
    let labels = [("disk", id)];
    let seconds = |micros: u64| number(micros) / 1e6;
    for (name, help, value) in [
        (
            "instore_amazon_reads_total",
            "Reads, as the device counts them.",
            number(page.read_ops),
        ),
        (
            "instore_amazon_writes_total",
            "Writes, as the device counts them.",
            number(page.write_ops),
        ),
        (
            "instore_amazon_read_bytes_total",
            "Bytes read.",
            number(page.read_bytes),
        ),
        (
            "instore_amazon_written_bytes_total",
            "Bytes written.",
            number(page.write_bytes),
        ),
        (
            "instore_amazon_read_seconds_total",
            "Time of all reads, added up.",
            seconds(page.read_time),
        ),
        (
            "instore_amazon_write_seconds_total",
            "Time of all writes, added up.",
            seconds(page.write_time),
        ),
        (
            "instore_amazon_instance_iops_exceeded_seconds_total",
            "Time above the instance's limit of IOPS.",
            seconds(page.instance_iops_exceeded),
        ),
        (
            "instore_amazon_instance_throughput_exceeded_seconds_total",
            "Time above the instance's limit of throughput.",
            seconds(page.instance_throughput_exceeded),
        ),
    ] {
        out.counter(name, help, &labels, value);
    }
    for (name, help, value) in [
        (
            "instore_amazon_volume_iops_exceeded_seconds_total",
            "Time above the EBS volume's limit of IOPS.",
            page.volume_iops_exceeded,
        ),
        (
            "instore_amazon_volume_throughput_exceeded_seconds_total",
            "Time above the EBS volume's limit of throughput.",
            page.volume_throughput_exceeded,
        ),
    ] {
        if let Some(micros) = value {
            out.counter(name, help, &labels, seconds(micros));
        }
    }
    out.gauge(
        "instore_amazon_queue_length",
        "Requests in the device's queue.",
        &labels,
        number(page.queue_length),
    );
    for (name, help, told, sum) in [
        (
            "instore_amazon_read_latency_seconds",
            "Latency of reads, as the device counts it.",
            &page.read_latency,
            page.read_time,
        ),
        (
            "instore_amazon_write_latency_seconds",
            "Latency of writes, as the device counts it.",
            &page.write_latency,
            page.write_time,
        ),
    ] {
        if let Some(told) = told {
            latency(name, help, id, told, seconds(sum), out);
        }
    }
}

fn latency(
    name: &'static str,
    help: &'static str,
    id: &str,
    told: &Histogram,
    sum: f64,
    out: &mut Families,
) {
    let mut count = 0;
    let mut buckets = Vec::with_capacity(told.bins.len());
    for bin in &told.bins {
        count += bin.count;
        buckets.push((number(bin.upper_us) / 1e6, count));
    }
    out.histogram(name, help, &[("disk", id)], &buckets, (count, sum));
}
