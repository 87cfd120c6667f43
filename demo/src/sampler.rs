//! Looks at each worker several times a second, from inside its machine and past the charm.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};

use crate::checks::Sample;
use crate::sim::Sim;

/// Prints `<milliseconds> <pid>@<start> <0|1>` a line: the worker's process, and whether its own
/// REST API (on loopback, as the internal user) lists the first client's connector class. The time
/// is taken after the answer, so that a plugin is never seen earlier than it was there.
const SCRIPT: &str = r#"
while :; do
  process=-; plugin=0
  pid=$(systemctl show -p MainPID --value kafka-connect.service 2>/dev/null)
  if [ -n "$pid" ] && [ "$pid" != 0 ] && [ -r /proc/$pid/stat ]; then
    process=$pid@$(sed 's/.*) //' /proc/$pid/stat | cut -d' ' -f20)
    if sed 's/^\([^=]*\)=\(.*\)$/user = "\1:\2"/' /etc/kafka-connect/users.properties 2>/dev/null \
      | curl -s -m 2 -K - http://127.0.0.1:18083/connector-plugins | grep -q FileStreamSourceConnector
    then plugin=1; fi
  fi
  echo "$(date +%s%3N) $process $plugin"
  sleep 0.3
done
"#;

/// Samplers that run until dropped.
#[derive(Debug)]
pub(crate) struct Samplers {
    children: Vec<Child>,
    samples: Arc<Mutex<Vec<Sample>>>,
}

impl Samplers {
    pub(crate) fn start(sim: &Sim, units: &[String]) -> Result<Self> {
        let samples = Arc::new(Mutex::new(Vec::new()));
        let mut children = Vec::new();
        for unit in units {
            let mut child = sim
                .command()
                .args(["ssh", unit, "sh", "-c", SCRIPT])
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .context("cannot start a sampler")?;
            if let Some(stdout) = child.stdout.take() {
                let (unit, samples) = (unit.clone(), Arc::clone(&samples));
                std::thread::spawn(move || {
                    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                        if let (Some(sample), Ok(mut samples)) =
                            (parse(&unit, &line), samples.lock())
                        {
                            samples.push(sample);
                        }
                    }
                });
            }
            children.push(child);
        }
        Ok(Self { children, samples })
    }

    /// What was seen so far.
    pub(crate) fn samples(&self) -> Vec<Sample> {
        self.samples
            .lock()
            .map(|samples| samples.clone())
            .unwrap_or_default()
    }
}

impl Drop for Samplers {
    fn drop(&mut self) {
        for child in &mut self.children {
            // Already gone is as good.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

fn parse(unit: &str, line: &str) -> Option<Sample> {
    let mut words = line.split(' ');
    Some(Sample {
        at: words.next()?.parse().ok()?,
        process: words
            .next()
            .filter(|process| *process != "-")
            .map(str::to_owned),
        plugin: words.next()? == "1",
        unit: unit.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_sampler_becomes_a_sample() {
        let sample = parse("kc/0", "1700000000000 42@977 1").unwrap();
        assert_eq!(
            (sample.at, sample.process.as_deref(), sample.plugin),
            (1_700_000_000_000, Some("42@977"), true)
        );
        assert_eq!(parse("kc/0", "1700000000000 - 0").unwrap().process, None);
        assert_eq!(parse("kc/0", "curl: broken"), None);
    }
}
