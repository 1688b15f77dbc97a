//! rskafka. It has neither groups nor transactions. clients/python/program.py describes the lines.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeZone, Utc};
use rskafka::client::error::{Error as ClientError, ProtocolError};
use rskafka::client::partition::{Compression, OffsetAt, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder};
use rskafka::record::{Record, RecordAndOffset};
use serde_json::json;

type Error = Box<dyn std::error::Error + Send + Sync>;
type Outcome = Result<(), Error>;

const PATIENCE: Duration = Duration::from_secs(45);
const FETCH_BYTES: i32 = 50_000_000;

struct Checks {
    client: Client,
    prefix: String,
    hour_ago: DateTime<Utc>,
}

fn values(count: usize, start: usize) -> Vec<String> {
    (start..start + count).map(|i| format!("v-{i}")).collect()
}

fn expect<T: PartialEq + std::fmt::Debug>(actual: T, wanted: T, what: &str) -> Outcome {
    if actual == wanted {
        return Ok(());
    }
    Err(format!("{what}: {actual:.200?}, expected {wanted:.200?}").into())
}

fn texts(records: &[RecordAndOffset]) -> Vec<String> {
    let text = |r: &RecordAndOffset| {
        String::from_utf8_lossy(r.record.value.as_deref().unwrap_or_default()).into_owned()
    };
    records.iter().map(text).collect()
}

fn value_of_size(size: usize) -> Vec<u8> {
    (b'a'..=b'z').cycle().take(size).collect()
}

impl Checks {
    fn record(&self, value: &[u8]) -> Record {
        Record {
            key: None,
            value: Some(value.to_vec()),
            headers: BTreeMap::new(),
            timestamp: self.hour_ago,
        }
    }

    async fn topic(&self, name: &str, partitions: i32) -> Result<String, Error> {
        let topic = format!("{}-{name}", self.prefix);
        let controller = self.client.controller_client()?;
        controller.create_topic(&topic, partitions, 1, 20_000).await?;
        Ok(topic)
    }

    async fn partition(&self, topic: &str) -> Result<Arc<PartitionClient>, Error> {
        let handling = UnknownTopicHandling::Retry;
        Ok(Arc::new(self.client.partition_client(topic, 0, handling).await?))
    }

    async fn made(&self, name: &str) -> Result<Arc<PartitionClient>, Error> {
        let topic = self.topic(name, 1).await?;
        self.partition(&topic).await
    }

    async fn send(
        &self,
        partition: &PartitionClient,
        texts: Vec<String>,
        codec: Compression,
    ) -> Outcome {
        let records = texts.iter().map(|text| self.record(text.as_bytes())).collect();
        partition.produce(records, codec).await?;
        Ok(())
    }

    async fn read(
        &self,
        partition: &PartitionClient,
        offset: i64,
        count: usize,
    ) -> Result<Vec<RecordAndOffset>, Error> {
        let mut taken: Vec<RecordAndOffset> = vec![];
        let started = Instant::now();
        while taken.len() < count {
            if started.elapsed() > PATIENCE {
                return Err(format!("{} of {count} records read", taken.len()).into());
            }
            let next = taken.last().map_or(offset, |last| last.offset + 1);
            taken.extend(partition.fetch_records(next, 1..FETCH_BYTES, 100).await?.0);
        }
        Ok(taken)
    }

    async fn codec(&self, name: &str, codec: Compression) -> Outcome {
        let partition = self.made(name).await?;
        self.send(&partition, values(100, 0), codec).await?;
        expect(texts(&self.read(&partition, 0, 100).await?), values(100, 0), "values")
    }

    async fn headers(&self) -> Outcome {
        let partition = self.made("headers").await?;
        let mut sent = self.record(b"x");
        sent.headers.insert("a".into(), b"1".to_vec());
        sent.headers.insert("b".into(), vec![0, 255]);
        sent.headers.insert("empty".into(), vec![]);
        partition.produce(vec![sent.clone()], Compression::NoCompression).await?;
        let got = self.read(&partition, 0, 1).await?;
        expect(&got[0].record.headers, &sent.headers, "headers")
    }

    async fn nulls(&self) -> Outcome {
        let partition = self.made("nulls").await?;
        let pairs: [(Option<&[u8]>, Option<&[u8]>); 4] =
            [(None, None), (Some(b""), Some(b"")), (Some(b"k"), None), (None, Some(b"v"))];
        let mut sent = vec![];
        for (key, value) in pairs {
            sent.push(Record {
                key: key.map(<[u8]>::to_vec),
                value: value.map(<[u8]>::to_vec),
                ..self.record(b"")
            });
        }
        partition.produce(sent.clone(), Compression::NoCompression).await?;
        let got = self.read(&partition, 0, 4).await?;
        expect(got.into_iter().map(|r| r.record).collect(), sent, "records")
    }

    async fn timestamps(&self) -> Outcome {
        let partition = self.made("timestamps").await?;
        self.send(&partition, values(1, 0), Compression::NoCompression).await?;
        let got = self.read(&partition, 0, 1).await?;
        expect(got[0].record.timestamp, self.hour_ago, "timestamp")
    }

    async fn too_large(&self) -> Outcome {
        let partition = self.made("too-large").await?;
        let record = self.record(&value_of_size(2_000_000));
        match partition.produce(vec![record], Compression::NoCompression).await {
            Err(ClientError::ServerError {
                protocol_error: ProtocolError::MessageTooLarge, ..
            }) => Ok(()),
            other => Err(format!("2 MB: {other:?}, expected MESSAGE_TOO_LARGE").into()),
        }
    }

    async fn seek_time(&self) -> Outcome {
        let partition = self.made("seek-time").await?;
        for i in 0..10 {
            let mut record = self.record(format!("v-{i}").as_bytes());
            record.timestamp = self.hour_ago + Duration::from_secs(i);
            partition.produce(vec![record], Compression::NoCompression).await?;
        }
        let time = self.hour_ago + Duration::from_millis(4500);
        expect(partition.get_offset(OffsetAt::Timestamp(time)).await?, 5, "offset of the time")?;
        expect(texts(&self.read(&partition, 5, 1).await?)[0].clone(), "v-5".into(), "value")
    }

    async fn watermarks(&self) -> Outcome {
        let partition = self.made("watermarks").await?;
        self.send(&partition, values(7, 0), Compression::NoCompression).await?;
        expect(partition.get_offset(OffsetAt::Earliest).await?, 0, "first")?;
        expect(partition.get_offset(OffsetAt::Latest).await?, 7, "next")
    }

    async fn admin_create(&self) -> Outcome {
        self.topic("admin-create", 3).await?;
        match self.topic("admin-create", 3).await {
            Err(error) if error.to_string().contains("TopicAlreadyExists") => Ok(()),
            Err(error) if format!("{error:?}").contains("TopicAlreadyExists") => Ok(()),
            other => Err(format!("the second time: {other:?}").into()),
        }
    }

    async fn admin_describe(&self) -> Outcome {
        let topic = self.topic("admin-describe", 3).await?;
        let found = self.client.list_topics().await?;
        let partitions = found.iter().find(|t| t.name == topic).map(|t| t.partitions.len());
        expect(partitions, Some(3), "partitions")
    }

    async fn admin_delete(&self) -> Outcome {
        let topic = self.topic("admin-delete", 1).await?;
        self.client.controller_client()?.delete_topic(&topic, 20_000).await?;
        let found = self.client.list_topics().await?;
        expect(found.iter().any(|t| t.name == topic), false, "listed afterwards")
    }

    async fn admin_delete_records(&self) -> Outcome {
        let partition = self.made("admin-records").await?;
        self.send(&partition, values(10, 0), Compression::NoCompression).await?;
        partition.delete_records(4, 20_000).await?;
        let first = partition.get_offset(OffsetAt::Earliest).await?;
        expect(first, 4, "first offset")?;
        expect(texts(&self.read(&partition, first, 6).await?), values(6, 4), "values")
    }

    /// None where the client has no such feature.
    async fn run(&self, name: &str) -> Option<Outcome> {
        Some(match name {
            "produce_none" => self.codec("none", Compression::NoCompression).await,
            "produce_gzip" => self.codec("gzip", Compression::Gzip).await,
            "produce_snappy" => self.codec("snappy", Compression::Snappy).await,
            "produce_lz4" => self.codec("lz4", Compression::Lz4).await,
            "produce_zstd" => self.codec("zstd", Compression::Zstd).await,
            "headers" => self.headers().await,
            "nulls" => self.nulls().await,
            "timestamps" => self.timestamps().await,
            "too_large" => self.too_large().await,
            "seek_time" => self.seek_time().await,
            "watermarks" => self.watermarks().await,
            "admin_create" => self.admin_create().await,
            "admin_describe" => self.admin_describe().await,
            "admin_delete" => self.admin_delete().await,
            "admin_delete_records" => self.admin_delete_records().await,
            _ => return None,
        })
    }
}

#[tokio::main]
async fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().collect();
    println!("{}", json!({"client": "rskafka 0.6"}));
    let checks = Checks {
        client: ClientBuilder::new(vec![arguments[1].clone()]).build().await?,
        prefix: arguments[2].clone(),
        hour_ago: Utc
            .timestamp_millis_opt(Utc::now().timestamp_millis() - 3_600_000)
            .single()
            .ok_or("no such time")?,
    };
    for name in &arguments[3..] {
        let started = Instant::now();
        let (result, detail) = match tokio::time::timeout(2 * PATIENCE, checks.run(name)).await {
            Err(_) => ("fail", "took too long".to_string()),
            Ok(None) => ("none", "not offered by this client".to_string()),
            Ok(Some(Ok(()))) => ("pass", String::new()),
            Ok(Some(Err(error))) => ("fail", format!("{error:?}")),
        };
        let seconds = started.elapsed().as_secs_f64();
        println!(
            "{}",
            json!({"check": name, "result": result, "detail": detail, "seconds": seconds})
        );
    }
    Ok(())
}
