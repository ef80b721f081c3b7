import io.debezium.engine.ChangeEvent;
import io.debezium.engine.DebeziumEngine;
import io.debezium.engine.Header;
import io.debezium.engine.format.Json;
import io.debezium.engine.format.KeyValueHeaderChangeEventFormat;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.lang.management.ManagementFactory;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import javax.management.InstanceNotFoundException;
import javax.management.MBeanServer;
import javax.management.ObjectName;

/**
 * Debezium as an oracle: one engine for each *.properties of a folder, all in this process.
 *
 * <p>Leaves beside each file a .jsonl: topic, key, value and headers of every record, in order, as
 * the JSON converters print them. Prints "ready" when each engine has ended its snapshot and reads
 * the log. An engine ends when it has seen the property last.op on the table "caught_up"; the process
 * ends with the last one, with status 1 and a line for each that failed.
 */
public final class Engine {
  private static final int READY_SECONDS_MAX = 240;
  private static final List<String> failures = Collections.synchronizedList(new ArrayList<>());

  private final Properties properties = new Properties();
  private final Path out;
  private final CountDownLatch ready = new CountDownLatch(1);
  private final CountDownLatch ended = new CountDownLatch(1);

  public static void main(String[] args) throws Exception {
    List<Engine> engines = new ArrayList<>();
    try (DirectoryStream<Path> files = Files.newDirectoryStream(Path.of(args[0]), "*.properties")) {
      for (Path file : files) {
        engines.add(new Engine(file));
      }
    }
    for (Engine engine : engines) {
      new Thread(engine::run, engine.properties.getProperty("name")).start();
    }
    for (Engine engine : engines) {
      if (!engine.ready.await(READY_SECONDS_MAX, TimeUnit.SECONDS)) {
        System.out.println(engine.properties.getProperty("name") + " does not get ready");
        System.exit(1);
      }
    }
    System.out.println("ready");
    for (Engine engine : engines) {
      engine.ended.await();
    }
    failures.forEach(System.out::println);
    System.exit(failures.isEmpty() ? 0 : 1);
  }

  private Engine(Path file) throws IOException {
    try (var in = Files.newBufferedReader(file)) {
      properties.load(in);
    }
    out = Path.of(file.toString().replaceAll("\\.properties$", ".jsonl"));
  }

  private void run() {
    String name = properties.getProperty("name");
    try (Writer writer = Files.newBufferedWriter(out)) {
      CountDownLatch caughtUp = new CountDownLatch(1);
      DebeziumEngine<ChangeEvent<String, String>> engine =
          DebeziumEngine.create(
                  KeyValueHeaderChangeEventFormat.of(Json.class, Json.class, Json.class))
              .using(properties)
              .using(
                  (success, message, error) -> {
                    // once all was seen, what is under way at the close may fail
                    if (!success && caughtUp.getCount() > 0) {
                      failures.add(name + " failed: " + message + ": " + error);
                    }
                    caughtUp.countDown();
                  })
              .notifying(
                  record -> {
                    write(writer, record);
                    if (isLast(record)) {
                      caughtUp.countDown();
                    }
                  })
              .build();
      Thread runner = new Thread(engine, name + "-engine");
      runner.start();
      awaitStreaming(runner);
      ready.countDown();
      caughtUp.await();
      engine.close();
      runner.join();
    } catch (Exception e) {
      failures.add(name + " failed: " + e);
    } finally {
      ready.countDown();
      ended.countDown();
    }
  }

  /** Until the connector's own metrics say so, or the engine has ended. */
  private void awaitStreaming(Thread runner) throws Exception {
    String connector = properties.getProperty("connector.class");
    String kind =
        connector.contains("Postgres") ? "postgres" : connector.contains("MySql") ? "mysql" : "mariadb";
    String prefix = properties.getProperty("topic.prefix");
    MBeanServer beans = ManagementFactory.getPlatformMBeanServer();
    ObjectName bean =
        new ObjectName(
            "debezium." + kind + ":type=connector-metrics,context=streaming,server=" + prefix);
    while (runner.isAlive()) {
      try {
        if (Boolean.TRUE.equals(beans.getAttribute(bean, "Connected"))) {
          return;
        }
      } catch (InstanceNotFoundException e) {
        // the connector has not started yet
      }
      Thread.sleep(50);
    }
  }

  /** The end of the workload is an operation on its last table. */
  private boolean isLast(ChangeEvent<String, String> record) {
    String op = "\"op\":\"" + properties.getProperty("last.op") + "\"";
    return record.destination().endsWith("caught_up")
        && record.value() != null
        && record.value().contains(op);
  }

  private static void write(Writer writer, ChangeEvent<String, String> record) {
    StringBuilder line = new StringBuilder();
    line.append("{\"topic\":\"").append(record.destination());
    line.append("\",\"key\":").append(record.key());
    line.append(",\"value\":").append(record.value()).append(",\"headers\":{");
    String comma = "";
    for (Header<?> header : record.headers()) {
      line.append(comma).append('"').append(header.getKey()).append("\":");
      line.append(header.getValue());
      comma = ",";
    }
    line.append("}}\n");
    try {
      writer.write(line.toString());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
