//! Families of metrics in the making, by name.

use std::collections::BTreeMap;

use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType, Quantile,
    Summary,
};

/// Names and values of labels.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

#[derive(Default)]
pub(super) struct Families {
    by_name: BTreeMap<&'static str, (&'static str, MetricType, Vec<Metric>)>,
}

impl Families {
    pub(super) fn gauge(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: Labels<'_>,
        value: f64,
    ) {
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        let mut metric = labelled(labels);
        metric.set_gauge(gauge);
        self.add(name, help, MetricType::GAUGE, metric);
    }

    pub(super) fn counter(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: Labels<'_>,
        value: f64,
    ) {
        let mut counter = Counter::default();
        counter.set_value(value);
        let mut metric = labelled(labels);
        metric.set_counter(counter);
        self.add(name, help, MetricType::COUNTER, metric);
    }

    /// `buckets` are upper bounds with the counts of all up to them; what is
    /// above the last is in `count` alone.
    pub(super) fn histogram(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: Labels<'_>,
        buckets: &[(f64, u64)],
        (count, sum): (u64, f64),
    ) {
        let bucket = |&(bound, cumulative): &(f64, u64)| {
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(bound);
            bucket.set_cumulative_count(cumulative);
            bucket
        };
        let mut histogram = Histogram::default();
        histogram.set_bucket(buckets.iter().map(bucket).collect());
        histogram.set_sample_count(count);
        histogram.set_sample_sum(sum);
        let mut metric = labelled(labels);
        metric.set_histogram(histogram);
        self.add(name, help, MetricType::HISTOGRAM, metric);
    }

    /// `quantiles` with the values that they have.
    pub(super) fn summary(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: Labels<'_>,
        quantiles: &[(f64, f64)],
        (count, sum): (u64, f64),
    ) {
        let quantile = |&(share, value): &(f64, f64)| {
            let mut quantile = Quantile::default();
            quantile.set_quantile(share);
            quantile.set_value(value);
            quantile
        };
        let mut summary = Summary::default();
        summary.set_quantile(quantiles.iter().map(quantile).collect());
        summary.set_sample_count(count);
        summary.set_sample_sum(sum);
        let mut metric = labelled(labels);
        metric.set_summary(summary);
        self.add(name, help, MetricType::SUMMARY, metric);
    }

    fn add(&mut self, name: &'static str, help: &'static str, kind: MetricType, metric: Metric) {
        let family = self.by_name.entry(name);
        let family = family.or_insert_with(|| (help, kind, Vec::new()));
        family.2.push(metric);
    }

    pub(super) fn into_list(self) -> Vec<MetricFamily> {
        let family = |(name, (help, kind, metrics)): (&str, (&str, MetricType, Vec<Metric>))| {
            let mut family = MetricFamily::default();
            family.set_name(name.to_owned());
            family.set_help(help.to_owned());
            family.set_field_type(kind);
            family.set_metric(metrics);
            family
        };
        self.by_name.into_iter().map(family).collect()
    }
}

fn labelled(labels: Labels<'_>) -> Metric {
    let pair = |&(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(value.to_owned());
        pair
    };
    let mut metric = Metric::default();
    metric.set_label(labels.iter().map(pair).collect());
    metric
}
