/*
 * Clients.java
 *		Kafka's Java clients, as the benchmark wants them.
 *
 * usage: java Clients BOOTSTRAP-SERVER
 *
 * Reads a command a line and answers each with a line that begins with "= ":
 *		create TOPIC PARTITIONS [NAME=VALUE...]
 *		delete TOPIC
 *		end TOPIC						how many records the log has been given
 *		single TOPIC FILE CLIENTS own|shared SECONDS	see Single.java
 *		perf PRODUCERS ARG...			the tool kafka-producer-perf-test, so many at a time
 *		latency TOPIC RATE SECONDS EVENT	see Latency.java
 *		consume TOPIC COUNT				see Consume.java
 *
 * All run in one JVM, so that what has been compiled once stays so.
 */
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.tools.ProducerPerformance;

public final class Clients
{
	private static final Pattern SENT =
		Pattern.compile("(\\d+) records sent, ([0-9.]+) records/sec .*99\\.9th");

	private final String server;

	private Clients(String server)
	{
		this.server = server;
	}

	public static void main(String[] args) throws Exception
	{
		Clients		clients = new Clients(args[0]);
		BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
		String		line;

		while ((line = input.readLine()) != null)
		{
			System.out.println("= " + clients.run(line));
			System.out.flush();
		}
	}

	private String run(String line) throws Exception
	{
		String[]	words = line.split(" ", 5);
		String		topic = words[1];

		switch (words[0])
		{
			case "create":
				return create(topic, Integer.parseInt(words[2]), words.length > 3 ? words[3] : "");
			case "delete":
				try (Admin admin = Admin.create(common()))
				{
					admin.deleteTopics(List.of(topic)).all().get();
				}
				return "";
			case "end":
				return Long.toString(end(topic));
			case "single":
				return Single.run(this, topic, words[2], Integer.parseInt(words[3]), words[4].split(" "));
			case "perf":
				String[]	args = line.split(" ");

				return perf(Integer.parseInt(args[1]), Arrays.copyOfRange(args, 2, args.length));
			case "latency":
				return Latency.run(this, topic, Integer.parseInt(words[2]), Integer.parseInt(words[3]), words[4]);
			case "consume":
				return Consume.run(this, topic, Long.parseLong(words[2]));
			default:
				throw new IllegalArgumentException(words[0]);
		}
	}

	private Properties common()
	{
		Properties	properties = new Properties();

		properties.put("bootstrap.servers", server);
		return properties;
	}

	/* Kafka 4 would wait 5 ms for more records. */
	KafkaProducer<byte[], byte[]> producer()
	{
		Properties	properties = common();

		properties.put("acks", "all");
		properties.put("linger.ms", "0");
		return new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer());
	}

	/* A consumer of a group, with all partitions: it need not wait for others to join. */
	KafkaConsumer<byte[], byte[]> consumer(String topic)
	{
		Properties	properties = common();

		properties.put("group.id", "bench");
		properties.put("max.poll.records", "500");
		KafkaConsumer<byte[], byte[]> consumer =
			new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer());
		List<TopicPartition> partitions = new ArrayList<>();

		for (PartitionInfo info : consumer.partitionsFor(topic))
			partitions.add(new TopicPartition(topic, info.partition()));
		consumer.assign(partitions);
		return consumer;
	}

	private String create(String topic, int partitions, String settings) throws Exception
	{
		Map<String, String> configs = new HashMap<>();

		for (String setting : settings.split(" "))
			if (!setting.isEmpty())
				configs.put(setting.split("=")[0], setting.split("=")[1]);
		try (Admin admin = Admin.create(common()))
		{
			admin.createTopics(List.of(new NewTopic(topic, Optional.of(partitions), Optional.of((short) 1))
									   .configs(configs))).all().get();
		}
		return "";
	}

	private long end(String topic)
	{
		try (KafkaConsumer<byte[], byte[]> consumer = consumer(topic))
		{
			return consumer.endOffsets(consumer.assignment()).values().stream().mapToLong(end -> end).sum();
		}
	}

	/* What the tools say at their end: records a second, and how many were sent. */
	private static String perf(int producers, String[] args) throws Exception
	{
		PrintStream	stdout = System.out;
		ByteArrayOutputStream output = new ByteArrayOutputStream();
		List<Thread> threads = new ArrayList<>();
		double		rate = 0;
		long		count = 0;

		System.setOut(new PrintStream(output, true, StandardCharsets.UTF_8));
		for (int i = 0; i < producers; i++)
		{
			Thread		thread = new Thread(() -> {
				try
				{
					ProducerPerformance.main(args);
				}
				catch (Exception problem)
				{
					problem.printStackTrace();
				}
			});

			thread.start();
			threads.add(thread);
		}
		for (Thread thread : threads)
			thread.join();
		System.setOut(stdout);

		Matcher		sent = SENT.matcher(output.toString(StandardCharsets.UTF_8));

		while (sent.find())
		{
			count += Long.parseLong(sent.group(1));
			rate += Double.parseDouble(sent.group(2));
		}
		return rate + " " + count;
	}
}
