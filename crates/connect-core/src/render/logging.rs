//! Logging of the worker: one file, capped.

use super::properties::Properties;
use crate::layout::Layout;

const PATTERN: &str = "[%d] %p %X{connector.context}%m (%c:%L)%n";
/// Logs every request at INFO, health checks included.
const ACCESS_LOGGER: &str = "org.apache.kafka.connect.runtime.rest.RestServer";

/// Logs who leads the group after each rebalance, which the REST API does not tell.
const GROUP_LOGGER: &str = "org.apache.kafka.connect.runtime.distributed.DistributedHerder";

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
    let mut p = Properties::default();
    p.comment("Written by the charm.")
        .set("appenders", "file")
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
        .set("rootLogger.level", level)
        .set("rootLogger.appenderRef.file.ref", "file")
        .set("loggers", "access,herder")
        .set("logger.herder.name", GROUP_LOGGER)
        .set("logger.herder.level", of_group(level))
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
        .set(&format!("log4j.logger.{ACCESS_LOGGER}"), "WARN")
        .set(&format!("log4j.logger.{GROUP_LOGGER}"), of_group(level))
        .set("log4j.logger.org.reflections", "ERROR");
    p.finish().to_owned()
}
