//! Logging of the worker: one file for all, one for what the group does; both capped.

use super::properties::Properties;
use crate::layout::Layout;

const PATTERN: &str = "[%d] %p %X{connector.context}%m (%c:%L)%n";
/// Logs every request at INFO, health checks included.
const ACCESS_LOGGER: &str = "org.apache.kafka.connect.runtime.rest.RestServer";

/// Logs who leads the group after each rebalance, which the REST API does not tell.
const GROUP_LOGGER: &str = "org.apache.kafka.connect.runtime.distributed.DistributedHerder";
/// What it says then. These lines have a file of their own, which begins anew with the worker: each
/// task that starts after a rebalance logs more than 10 KiB on top of it.
const JOINED: &str = "Joined group at generation";

fn of_group(level: &str) -> &str {
    match level {
        "WARN" | "ERROR" => "INFO",
        _ => level,
    }
}

/// `log4j2.properties`, for Kafka 4.
#[must_use]
pub fn log4j2(level: &str, layout: &Layout) -> String {
    let file = layout.worker_log();
    let group = layout.group_log();
    let mut p = Properties::default();
    p.comment("Written by the charm.")
        .set("appenders", "file,group")
        .set("appender.file.type", "RollingFile")
        .set("appender.file.name", "file")
        .set("appender.file.fileName", &file)
        .set("appender.file.filePattern", &format!("{file}.%i"))
        .set("appender.file.layout.type", "PatternLayout")
        .set("appender.file.layout.pattern", PATTERN)
        .set("appender.file.policies.type", "Policies")
        .set(
            "appender.file.policies.size.type",
            "SizeBasedTriggeringPolicy",
        )
        .set("appender.file.policies.size.size", "50MB")
        .set("appender.file.strategy.type", "DefaultRolloverStrategy")
        .set("appender.file.strategy.max", "3")
        .set("appender.group.type", "RollingFile")
        .set("appender.group.name", "group")
        .set("appender.group.fileName", &group)
        .set("appender.group.filePattern", &format!("{group}.%i"))
        .set("appender.group.append", "false")
        .set("appender.group.layout.type", "PatternLayout")
        .set("appender.group.layout.pattern", PATTERN)
        .set("appender.group.policies.type", "Policies")
        .set(
            "appender.group.policies.size.type",
            "SizeBasedTriggeringPolicy",
        )
        .set("appender.group.policies.size.size", "1MB")
        .set("appender.group.strategy.type", "DefaultRolloverStrategy")
        .set("appender.group.strategy.max", "1")
        .set("appender.group.filter.joined.type", "RegexFilter")
        .set(
            "appender.group.filter.joined.regex",
            &format!(".*{JOINED}.*"),
        )
        .set("appender.group.filter.joined.onMatch", "ACCEPT")
        .set("appender.group.filter.joined.onMismatch", "DENY")
        .set("rootLogger.level", level)
        .set("rootLogger.appenderRef.file.ref", "file")
        .set("loggers", "access,herder")
        .set("logger.herder.name", GROUP_LOGGER)
        .set("logger.herder.level", of_group(level))
        .set("logger.herder.appenderRef.group.ref", "group")
        .set("logger.access.name", ACCESS_LOGGER)
        .set("logger.access.level", "WARN");
    p.finish().to_owned()
}

/// `log4j.properties`, for Kafka 3.9.
#[must_use]
pub fn log4j(level: &str, layout: &Layout) -> String {
    let mut p = Properties::default();
    p.comment("Written by the charm.")
        .set("log4j.rootLogger", &format!("{level}, file"))
        .set(
            "log4j.appender.file",
            "org.apache.log4j.RollingFileAppender",
        )
        .set("log4j.appender.file.File", &layout.worker_log())
        .set("log4j.appender.file.MaxFileSize", "50MB")
        .set("log4j.appender.file.MaxBackupIndex", "3")
        .set(
            "log4j.appender.file.layout",
            "org.apache.log4j.PatternLayout",
        )
        .set("log4j.appender.file.layout.ConversionPattern", PATTERN)
        .set(
            "log4j.appender.group",
            "org.apache.log4j.RollingFileAppender",
        )
        .set("log4j.appender.group.File", &layout.group_log())
        .set("log4j.appender.group.Append", "false")
        // After the line that is too much it goes on with an empty file.
        .set("log4j.appender.group.MaxFileSize", "10MB")
        .set("log4j.appender.group.MaxBackupIndex", "1")
        .set(
            "log4j.appender.group.layout",
            "org.apache.log4j.PatternLayout",
        )
        .set("log4j.appender.group.layout.ConversionPattern", PATTERN)
        .set(
            "log4j.appender.group.filter.1",
            "org.apache.log4j.varia.StringMatchFilter",
        )
        .set("log4j.appender.group.filter.1.StringToMatch", JOINED)
        .set("log4j.appender.group.filter.1.AcceptOnMatch", "true")
        .set(
            "log4j.appender.group.filter.2",
            "org.apache.log4j.varia.DenyAllFilter",
        )
        .set(&format!("log4j.logger.{ACCESS_LOGGER}"), "WARN")
        .set(
            &format!("log4j.logger.{GROUP_LOGGER}"),
            &format!("{}, group", of_group(level)),
        )
        .set("log4j.logger.org.reflections", "ERROR");
    p.finish().to_owned()
}
