//! The story the demo tells, step by step. Every wait is for a condition, with a limit.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::checks::{Connectors, Evidence, Probe};
use crate::log;
use crate::memory::Memory;
use crate::sampler::Samplers;
use crate::sim::{Parts, Sim, now};

const CHARM: &str = "kafka-connect";
const RECORDS: usize = 1000;
const INPUT: &str = "/var/lib/kafka-connect/tmp/orders.in";
const OUTPUT: &str = "/var/lib/kafka-connect/tmp/orders.out";

/// Who may use Kafka Connect, as published to one client.
struct Access {
    endpoints: BTreeMap<String, String>,
    user: String,
    password: String,
}

/// Prints a line of the story with the seconds since its beginning.
struct Narrator(u64);

impl Narrator {
    fn say(&self, line: &str) {
        let since = now().saturating_sub(self.0);
        println!("[{:>3}.{} s] {line}", since / 1000, since % 1000 / 100);
    }
}

/// Tells the whole story and returns the evidence.
pub(crate) fn tell(sim: &Sim, parts: &Parts) -> Result<Evidence> {
    let narrator = Narrator(now());
    let mut evidence = Evidence {
        application: CHARM.to_owned(),
        ..Evidence::default()
    };

    kafka(sim, parts, &narrator)?;
    let memory = Memory::watch(sim)?;
    let units = workers(sim, parts, &narrator, &mut evidence)?;
    let samplers = Samplers::start(sim, &units)?;
    evidence.units = units.iter().cloned().collect();

    let first = first_client(sim, parts, &narrator, &units, &mut evidence)?;
    let second = second_client(sim, parts, &narrator, &mut evidence)?;
    println!("\n{}", sim.run(&["status"])?);
    removal(sim, &narrator, &units, (&first, &second), &mut evidence)?;

    evidence.samples = samplers.samples();
    drop(samplers);
    evidence.memory_mib = memory.highest_mib();
    (evidence.commits, evidence.hooks) = log::read(&sim.commit_log())?;
    evidence
        .hooks
        .retain(|hook| hook.unit.starts_with("kafka-connect/"));
    println!("\n{}", sim.run(&["status"])?);
    Ok(evidence)
}

fn kafka(sim: &Sim, parts: &Parts, narrator: &Narrator) -> Result<()> {
    narrator.say("deploying a Kafka charm: one real KRaft broker with SASL/SCRAM");
    let resource = format!(
        "kafka-broker={}",
        parts.path("kafka/kafka-broker-4.1.2.tgz")?
    );
    sim.run(&[
        "deploy",
        &parts.path("fixtures/kafka")?,
        "kafka",
        "--resource",
        &resource,
    ])?;
    wait_active(sim, "kafka", 120)?;
    narrator.say("the broker is up");
    Ok(())
}

fn workers(
    sim: &Sim,
    parts: &Parts,
    narrator: &Narrator,
    evidence: &mut Evidence,
) -> Result<Vec<String>> {
    narrator.say("deploying kafka-connect with two units, from the packed charm");
    let start = now();
    let resource = format!("kafka={}", parts.path("kafka/kafka-connect-4.1.2.tgz")?);
    let charm = parts.path("pack/kafka-connect_ubuntu@24.04-amd64.charm")?;
    sim.run(&["deploy", &charm, CHARM, "-n", "2", "--resource", &resource])?;
    sim.run(&["integrate", CHARM, "kafka"])?;
    wait_active(sim, CHARM, 180)?;
    evidence
        .spans
        .insert("deploy-to-active".into(), (start, now()));
    narrator.say("both workers are active, in one group");
    Ok(vec![format!("{CHARM}/0"), format!("{CHARM}/1")])
}

fn first_client(
    sim: &Sim,
    parts: &Parts,
    narrator: &Narrator,
    units: &[String],
    evidence: &mut Evidence,
) -> Result<Access> {
    narrator.say("deploying an integrator with a file plugin, for a source and a sink");
    let resource = format!(
        "connect-plugin={}",
        parts.path("kafka/connect-file-plugin.tar.gz")?
    );
    let settings = format!(
        "settings=tasks.max=1\n\
         key.converter=org.apache.kafka.connect.storage.StringConverter\n\
         value.converter=org.apache.kafka.connect.storage.StringConverter\n\
         [source]\n\
         connector.class=org.apache.kafka.connect.file.FileStreamSourceConnector\n\
         file={INPUT}\n\
         [sink]\n\
         connector.class=org.apache.kafka.connect.file.FileStreamSinkConnector\n\
         file={OUTPUT}\n"
    );
    for unit in units {
        // The source's task may run on either unit: both get the same input.
        sim.shell(
            unit,
            &format!("seq -f 'order %05g' 1 {RECORDS} > {INPUT}; chmod 644 {INPUT}"),
        )?;
    }
    let charm = integrator(parts)?;
    let deploy = [
        "deploy",
        &charm,
        "files",
        "--resource",
        &resource,
        "--config",
        "role=both",
        "--config",
        "topics=orders",
    ];
    sim.run(&[&deploy[..], &["--config", &settings]].concat())?;
    wait_idle(sim, 60)?;
    narrator.say("integrating it");
    let start = now();
    sim.run(&["integrate", "files:connect-client", CHARM])?;
    let relation = relation_id(sim, "files")?;
    let access = published(sim, relation, 120)?;
    evidence
        .spans
        .insert("integrate-to-published".into(), (start, now()));
    evidence.first = relation;
    narrator.say(&format!("credentials of {} are published", access.user));
    evidence.first_use = probe(sim, &access)?;
    wait_active(sim, "files", 60)?;
    narrator.say("source and sink are running");
    evidence.sent = (1..=RECORDS).map(|n| format!("order {n:05}")).collect();
    evidence.received = sim.until(
        "all records in the sink's file",
        Duration::from_secs(60),
        || {
            let received = received(sim, units)?;
            Ok((received.len() >= RECORDS).then_some(received))
        },
    )?;
    narrator.say(&format!(
        "{} records went from a file through Kafka into a file",
        evidence.received.len()
    ));
    evidence
        .spans
        .insert("integrate-to-records".into(), (start, now()));
    evidence.first_connectors = connectors(sim, &units[0])?.into_keys().collect();
    Ok(access)
}

fn second_client(
    sim: &Sim,
    parts: &Parts,
    narrator: &Narrator,
    evidence: &mut Evidence,
) -> Result<Access> {
    narrator.say(
        "deploying a second integrator, without plugin: MirrorMaker from the workers' own jars",
    );
    let mut settings = String::from(
        "settings=connector.class=org.apache.kafka.connect.mirror.MirrorSourceConnector\n\
         tasks.max=1\n\
         topics=orders\n\
         source.cluster.alias=primary\n\
         target.cluster.alias=backup\n\
         replication.factor=1\n\
         offset-syncs.topic.replication.factor=1\n\
         sync.topic.acls.enabled=false\n\
         refresh.topics.interval.seconds=5\n\
         key.converter=org.apache.kafka.connect.converters.ByteArrayConverter\n\
         value.converter=org.apache.kafka.connect.converters.ByteArrayConverter\n",
    );
    for cluster in ["source", "target"] {
        settings.extend([format!(
            "{cluster}.cluster.bootstrap.servers=${{kafka-client:endpoints}}\n\
             {cluster}.cluster.security.protocol=SASL_PLAINTEXT\n\
             {cluster}.cluster.sasl.mechanism=SCRAM-SHA-512\n\
             {cluster}.cluster.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required \
             username=\"${{kafka-client:username}}\" password=\"${{kafka-client:password}}\";\n"
        )]);
    }
    let charm = integrator(parts)?;
    sim.run(&[
        "deploy",
        &charm,
        "mirror",
        "--config",
        "role=source",
        "--config",
        &settings,
    ])?;
    sim.run(&["integrate", "mirror:kafka-client", "kafka"])?;
    wait_idle(sim, 60)?;
    let before = connectors(sim, "kafka-connect/0")?;
    let start = now();
    sim.run(&["integrate", "mirror:connect-client", CHARM])?;
    let relation = relation_id(sim, "mirror")?;
    let access = published(sim, relation, 60)?;
    narrator.say(&format!(
        "credentials of {} are published, no worker restarted",
        access.user
    ));
    evidence
        .spans
        .insert("integrate-to-published-known".into(), (start, now()));
    evidence.second = relation;
    wait_active(sim, "mirror", 60)?;
    evidence.mirrored = sim.until("the mirrored topic", Duration::from_secs(60), || {
        let count = consume(sim, "primary.orders")?;
        Ok((count >= RECORDS).then_some(count))
    })?;
    narrator.say(&format!("MirrorMaker copied {} records", evidence.mirrored));
    evidence
        .spans
        .insert("second-client".into(), (start, now()));
    let after = connectors(sim, "kafka-connect/0")?;
    evidence.second_connectors = after
        .into_keys()
        .filter(|name| !before.contains_key(name))
        .collect::<BTreeSet<_>>();
    Ok(access)
}

fn removal(
    sim: &Sim,
    narrator: &Narrator,
    units: &[String],
    (first, second): (&Access, &Access),
    evidence: &mut Evidence,
) -> Result<()> {
    narrator.say("removing the first relation");
    let start = now();
    sim.run(&["remove-relation", "files:connect-client", CHARM])?;
    let gone = sim.until(
        "the removed client to be cleaned away",
        Duration::from_secs(60),
        || {
            let refused = probe(sim, first)?;
            let mut store = BTreeMap::new();
            let mut listed = BTreeMap::new();
            for unit in units {
                let bundles = sim.shell(unit, "ls /var/lib/kafka-connect/plugins")?;
                store.insert(
                    unit.clone(),
                    bundles
                        .split_whitespace()
                        .map(str::to_owned)
                        .collect::<Vec<_>>(),
                );
                listed.insert(unit.clone(), connectors(sim, unit)?);
            }
            let done = refused.iter().all(|probe| probe.status == 401)
                && store.values().all(Vec::is_empty)
                && listed.values().all(|c| {
                    evidence
                        .first_connectors
                        .iter()
                        .all(|name| !c.contains_key(name))
                });
            Ok(done.then_some((refused, store, listed)))
        },
    );
    if let Ok((refused, store, listed)) = gone {
        (evidence.removed_user, evidence.store, evidence.connectors) = (refused, store, listed);
        narrator.say("its user gets 401 on every unit; its connectors and its plugin are gone");
    } else {
        // Not an end: the checks say what is missing.
        evidence.removed_user = probe(sim, first)?;
        for unit in units {
            evidence
                .connectors
                .insert(unit.clone(), connectors(sim, unit)?);
            let bundles = sim.shell(unit, "ls /var/lib/kafka-connect/plugins")?;
            evidence.store.insert(
                unit.clone(),
                bundles.split_whitespace().map(str::to_owned).collect(),
            );
        }
        narrator.say("the removed client was not cleaned away in time");
    }
    evidence.remaining_user = probe(sim, second)?;
    wait_idle(sim, 60)?;
    evidence.spans.insert("removal".into(), (start, now()));
    Ok(())
}

fn integrator(parts: &Parts) -> Result<String> {
    parts.path("pack/connect-integrator_ubuntu@24.04-amd64.charm")
}

fn wait_active(sim: &Sim, what: &str, seconds: u32) -> Result<()> {
    sim.run(&[
        "wait-for",
        what,
        "--status",
        "active",
        "--timeout",
        &format!("{seconds}s"),
    ])?;
    Ok(())
}

fn wait_idle(sim: &Sim, seconds: u32) -> Result<()> {
    sim.run(&["wait-for", "--idle", "--timeout", &format!("{seconds}s")])?;
    Ok(())
}

/// The relation information that the charm's leader sees.
fn relations(sim: &Sim) -> Result<Vec<Value>> {
    let text = sim.run(&["show-unit", "kafka-connect/0", "--format", "json"])?;
    let shown: Value = serde_json::from_str(&text).context("show-unit printed no JSON")?;
    Ok(shown["kafka-connect/0"]["relation-info"]
        .as_array()
        .cloned()
        .unwrap_or_default())
}

fn relation_id(sim: &Sim, client: &str) -> Result<u32> {
    sim.until("the relation", Duration::from_secs(20), || {
        let found = relations(sim)?.into_iter().find(|relation| {
            let units = relation["related-units"].as_object();
            relation["endpoint"] == "connect-client"
                && units.is_some_and(|u| u.keys().any(|u| u.starts_with(&format!("{client}/"))))
        });
        Ok(found.and_then(|relation| relation["relation-id"].as_u64()?.try_into().ok()))
    })
}

/// Waits for a client's answer in the model's own log, then reads its secret as the model's owner.
fn published(sim: &Sim, relation: u32, seconds: u64) -> Result<Access> {
    let limit = Duration::from_secs(seconds);
    let answer = sim.until("the credentials", limit, || {
        let (commits, _) = log::read(&sim.commit_log())?;
        let mut answer = BTreeMap::new();
        for commit in commits
            .iter()
            .filter(|c| c.relation == relation && c.application == CHARM)
        {
            answer.extend(commit.changes.clone());
        }
        Ok(answer
            .get("secret-user")
            .is_some_and(Option::is_some)
            .then_some(answer))
    })?;
    let uri = answer["secret-user"].clone().unwrap_or_default();
    let text = sim.run(&["show-secret", &uri, "--reveal", "--format", "json"])?;
    let shown: Value = serde_json::from_str(&text).context("show-secret printed no JSON")?;
    let secret = shown
        .as_object()
        .and_then(|map| map.values().next())
        .cloned()
        .unwrap_or_default();
    let field = |name: &str| {
        secret["content"][name]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let endpoints = answer
        .get("endpoints")
        .cloned()
        .flatten()
        .unwrap_or_default();
    let endpoints = endpoints.split(',').enumerate();
    let endpoints = endpoints
        .map(|(n, url)| (format!("{CHARM}/{n}"), url.to_owned()))
        .collect();
    Ok(Access {
        endpoints,
        user: field("username"),
        password: field("password"),
    })
}

fn probe(sim: &Sim, access: &Access) -> Result<Vec<Probe>> {
    let mut probes = Vec::new();
    for (unit, endpoint) in &access.endpoints {
        let url = format!("{endpoint}/connectors");
        let status = sim.http_status(&url, &access.user, &access.password)?;
        probes.push(Probe {
            unit: unit.clone(),
            status,
        });
    }
    Ok(probes)
}

/// A worker's connectors with the states of their tasks, from its own REST API on loopback.
fn connectors(sim: &Sim, unit: &str) -> Result<Connectors> {
    let script = "sed 's/^\\([^=]*\\)=\\(.*\\)$/user = \"\\1:\\2\"/' /etc/kafka-connect/users.properties \
                  | curl -sf -m 10 -K - 'http://127.0.0.1:18083/connectors?expand=status'";
    let text = sim.shell(unit, script)?;
    let listed: BTreeMap<String, Value> =
        serde_json::from_str(&text).with_context(|| format!("{unit}: /connectors gave no JSON"))?;
    let states = |value: &Value| {
        let tasks = value["status"]["tasks"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        tasks
            .iter()
            .map(|task| task["state"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    Ok(listed
        .iter()
        .map(|(name, value)| (name.clone(), states(value)))
        .collect())
}

fn received(sim: &Sim, units: &[String]) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for unit in units {
        let text = sim.shell(unit, &format!("cat {OUTPUT} 2>/dev/null || true"))?;
        lines.extend(text.lines().map(str::to_owned));
    }
    Ok(lines)
}

fn consume(sim: &Sim, topic: &str) -> Result<usize> {
    let text = sim.run(&[
        "run",
        "kafka/0",
        "count",
        &format!("topic={topic}"),
        "--format",
        "json",
    ])?;
    let shown: Value = serde_json::from_str(&text).context("run printed no JSON")?;
    let count = shown["kafka/0"]["results"]["count"]
        .as_str()
        .and_then(|count| count.parse().ok());
    Ok(count.unwrap_or(0))
}
