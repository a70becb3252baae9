//! Reads what fio, or instore, wrote as JSON: what `compare` puts side by side.
//! Takes what comes around it as well, for people redirect standard output:
//! warnings before it, other formats behind it, and several documents, of which
//! the last one (`status-interval`) is the whole run.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

/// One file of results.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// "fio version".
    pub version: String,
    pub unix_ms: u64,
    /// In the order of the file; several may have one name.
    pub jobs: Vec<Summary>,
    /// What instore warned of.
    pub warnings: Vec<String>,
    /// Ended early, as far as instore says it.
    pub interrupted: bool,
}

/// One entry of "jobs": a thread, or the reporting group it stands for.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    pub job: String,
    pub group: u32,
    /// As errno(3); 0 is none.
    pub error: i32,
    /// As they were written, those of `[global]` included.
    pub options: BTreeMap<String, String>,
    /// Reads, and writes.
    pub directions: [DirectionSummary; 2],
}

/// All reads, or all writes; all zero when there were none.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DirectionSummary {
    pub ios: u64,
    pub bytes: u64,
    pub runtime: Duration,
    /// Over the whole runtime.
    pub iops: f64,
    /// Bytes in a second, over the whole runtime.
    pub bandwidth: f64,
    /// Of the samples over time: mean and deviation of all threads together.
    pub iops_samples: SampleSummary,
    /// Likewise, in bytes in a second.
    pub bandwidth_samples: SampleSummary,
    /// Completion latencies.
    pub latency: LatencySummary,
}

/// What fio keeps of its samples.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SampleSummary {
    pub count: u64,
    pub mean: f64,
    pub stddev: f64,
    pub min: f64,
    pub max: f64,
}

/// In nanoseconds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LatencySummary {
    pub count: u64,
    pub min: u64,
    pub max: u64,
    pub mean: f64,
    pub stddev: f64,
    /// Percent and value, ascending; empty when they were not asked for.
    pub percentiles: Vec<(f64, u64)>,
}

impl LatencySummary {
    /// The value at a percentile, when it is one of those in the file.
    #[must_use]
    pub fn percentile(&self, percent: f64) -> Option<u64> {
        self.percentiles
            .iter()
            .find(|(at, _)| (at - percent).abs() < PERCENT_PRECISION)
            .map(|(_, value)| *value)
    }
}

/// fio writes percentiles with six digits behind the point.
const PERCENT_PRECISION: f64 = 1e-6;

/// Why a file is not results.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("no JSON of fio in it: write it with --output-format=json")]
    NoDocument,
    #[error("cannot read JSON of fio: {0}")]
    Malformed(#[from] serde_json::Error),
    #[error(
        "job \"{0}\" has no clat_ns: it is from a fio before 3.0, measure again with a later one"
    )]
    TooOld(String),
}

/// Reads a file of results.
///
/// # Errors
/// When there is no JSON of fio in it, or it is cut off.
pub fn read_json(text: &str) -> Result<Document, ReadError> {
    let mut last = None;
    let mut rest = text;
    while let Some(start) = document_start(rest) {
        let mut documents = serde_json::Deserializer::from_str(&rest[start..]).into_iter();
        let Some(file) = documents.next() else { break };
        let file: File = file?;
        rest = &rest[start + documents.byte_offset()..];
        if !file.jobs.is_empty() {
            last = Some(file);
        }
    }
    last.ok_or(ReadError::NoDocument)?.document()
}

/// Where a line begins with a brace.
fn document_start(text: &str) -> Option<usize> {
    if text.starts_with('{') {
        return Some(0);
    }
    text.find("\n{").map(|before| before + 1)
}

#[derive(Deserialize)]
struct File {
    #[serde(rename = "fio version", default)]
    version: String,
    #[serde(default)]
    timestamp_ms: u64,
    #[serde(rename = "global options", default)]
    global: BTreeMap<String, String>,
    /// fio's client writes the other name.
    #[serde(alias = "client_stats", default)]
    jobs: Vec<Job>,
    #[serde(default)]
    instore: Instore,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Instore {
    warnings: Vec<String>,
    interrupted: bool,
}

#[derive(Deserialize)]
struct Job {
    jobname: String,
    #[serde(default)]
    groupid: u32,
    #[serde(default)]
    error: i32,
    #[serde(rename = "job options", default)]
    options: BTreeMap<String, String>,
    #[serde(default)]
    read: Option<Rw>,
    #[serde(default)]
    write: Option<Rw>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Rw {
    io_bytes: u64,
    bw_bytes: f64,
    iops: f64,
    /// Milliseconds.
    runtime: u64,
    total_ios: u64,
    clat_ns: Option<Latency>,
    lat_ns: Option<Latency>,
    bw_min: f64,
    bw_max: f64,
    bw_mean: f64,
    bw_dev: f64,
    bw_samples: u64,
    iops_min: f64,
    iops_max: f64,
    iops_mean: f64,
    iops_stddev: f64,
    iops_samples: u64,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Latency {
    min: u64,
    max: u64,
    mean: f64,
    stddev: f64,
    #[serde(rename = "N")]
    count: u64,
    percentile: BTreeMap<String, u64>,
}

impl File {
    fn document(self) -> Result<Document, ReadError> {
        let jobs = self
            .jobs
            .into_iter()
            .map(|job| job.summary(&self.global))
            .collect::<Result<_, _>>()?;
        Ok(Document {
            version: self.version,
            unix_ms: self.timestamp_ms,
            jobs,
            warnings: self.instore.warnings,
            interrupted: self.instore.interrupted,
        })
    }
}

impl Job {
    fn summary(self, global: &BTreeMap<String, String>) -> Result<Summary, ReadError> {
        let mut options = global.clone();
        options.extend(self.options);
        let direction = |rw: Option<Rw>| match rw {
            None => Ok(DirectionSummary::default()),
            Some(rw) => rw
                .summary()
                .ok_or_else(|| ReadError::TooOld(self.jobname.clone())),
        };
        Ok(Summary {
            directions: [direction(self.read)?, direction(self.write)?],
            job: self.jobname,
            group: self.groupid,
            error: self.error,
            options,
        })
    }
}

impl Rw {
    /// `None` when latencies are of an older schema.
    fn summary(self) -> Option<DirectionSummary> {
        let mut latency = self.clat_ns?.summary();
        // `lat_percentiles=1` has fio keep those of the other
        if let (true, Some(lat)) = (latency.percentiles.is_empty(), self.lat_ns) {
            latency.percentiles = lat.summary().percentiles;
        }
        Some(DirectionSummary {
            ios: self.total_ios,
            bytes: self.io_bytes,
            runtime: Duration::from_millis(self.runtime),
            iops: self.iops,
            bandwidth: self.bw_bytes,
            iops_samples: SampleSummary {
                count: self.iops_samples,
                mean: self.iops_mean,
                stddev: self.iops_stddev,
                min: self.iops_min,
                max: self.iops_max,
            },
            bandwidth_samples: SampleSummary {
                count: self.bw_samples,
                mean: self.bw_mean * KIB,
                stddev: self.bw_dev * KIB,
                min: self.bw_min * KIB,
                max: self.bw_max * KIB,
            },
            latency,
        })
    }
}

/// fio's samples of bandwidth are in KiB/s.
const KIB: f64 = 1024.0;

impl Latency {
    fn summary(self) -> LatencySummary {
        let mut percentiles: Vec<(f64, u64)> = self
            .percentile
            .into_iter()
            .filter_map(|(percent, value)| Some((percent.parse().ok()?, value)))
            .collect();
        percentiles.sort_by(|a, b| a.0.total_cmp(&b.0));
        LatencySummary {
            count: self.count,
            min: self.min,
            max: self.max,
            mean: self.mean,
            stddev: self.stddev,
            percentiles,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shape of fio 3.33's, shortened.
    const FIO: &str = r#"{
  "fio version" : "fio-3.33",
  "timestamp" : 1795301191,
  "timestamp_ms" : 1795301191351,
  "global options" : { "rw" : "randrw", "bs" : "8k" },
  "jobs" : [
    {
      "jobname" : "t",
      "groupid" : 1,
      "error" : 5,
      "eta" : 2147483647,
      "job options" : { "bs" : "4k", "numjobs" : "2" },
      "read" : {
        "io_bytes" : 1015808,
        "bw_bytes" : 32768000,
        "bw" : 32000,
        "iops" : 8000.500000,
        "runtime" : 31,
        "total_ios" : 248,
        "clat_ns" : {
          "min" : 41738,
          "max" : 1278766,
          "mean" : 147700.495968,
          "stddev" : 88759.003308,
          "N" : 248,
          "percentile" : { "100.000000" : 7, "1.000000" : 51968, "99.900000" : 1286144 }
        },
        "bw_min" : 10, "bw_max" : 30, "bw_agg" : 100.000000,
        "bw_mean" : 20.000000, "bw_dev" : 2.000000, "bw_samples" : 6,
        "iops_min" : 1, "iops_max" : 3, "iops_mean" : 2.000000,
        "iops_stddev" : 0.500000, "iops_samples" : 5
      },
      "write" : { "io_bytes" : 0, "clat_ns" : { "N" : 0 } }
    }
  ]
}"#;

    #[test]
    fn a_job_of_fio_is_read() {
        let document = read_json(FIO).unwrap();
        assert_eq!(document.version, "fio-3.33");
        assert_eq!(document.unix_ms, 1_795_301_191_351);
        let [job] = &document.jobs[..] else { panic!() };
        assert_eq!((job.job.as_str(), job.group, job.error), ("t", 1, 5));
        let options: Vec<_> = job.options.iter().map(|(k, v)| (&**k, &**v)).collect();
        assert_eq!(
            options,
            [("bs", "4k"), ("numjobs", "2"), ("rw", "randrw")],
            "its own win over those of [global]"
        );
        let [read, write] = &job.directions;
        assert_eq!((read.ios, read.bytes), (248, 1_015_808));
        assert_eq!(read.runtime, Duration::from_millis(31));
        assert_eq!((read.iops, read.bandwidth), (8000.5, 32_768_000.0));
        assert_eq!((read.iops_samples.count, read.iops_samples.mean), (5, 2.0));
        assert_eq!(read.bandwidth_samples.mean, 20.0 * 1024.0, "in bytes");
        assert_eq!(
            read.latency.percentiles,
            [(1.0, 51_968), (99.9, 1_286_144), (100.0, 7)],
            "ascending as numbers"
        );
        assert_eq!(read.latency.percentile(99.9), Some(1_286_144));
        assert_eq!(read.latency.percentile(50.0), None);
        assert_eq!(*write, DirectionSummary::default());
    }

    #[test]
    fn what_stands_around_it_does_not_matter() {
        let early = FIO.replace("248", "1");
        let text = format!("fio: a warning {{\n{early}\n\n{FIO}\n\nt: (groupid=0, jobs=1)\n");
        assert_eq!(read_json(&text).unwrap(), read_json(FIO).unwrap());
    }

    #[test]
    fn what_is_not_of_fio_is_refused() {
        for text in ["", "t: (groupid=0)", "{}", "{\"jobs\": []}"] {
            assert!(matches!(read_json(text), Err(ReadError::NoDocument)));
        }
        let cut = &FIO[..FIO.len() / 2];
        assert!(matches!(read_json(cut), Err(ReadError::Malformed(_))));
        let old = FIO.replace("clat_ns", "clat");
        let error = read_json(&old).unwrap_err().to_string();
        assert!(error.contains("job \"t\""), "{error}");
    }

    #[test]
    fn percentiles_of_total_latency_serve_as_well() {
        let text = FIO.replace("\"percentile\"", "\"other\"").replace(
            "\"bw_min\"",
            "\"lat_ns\" : { \"percentile\" : { \"50.000000\" : 9 } }, \"bw_min\"",
        );
        let document = read_json(&text).unwrap();
        let latency = &document.jobs[0].directions[0].latency;
        assert_eq!(latency.percentile(50.0), Some(9));
    }
}
