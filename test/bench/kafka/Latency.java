/*
 * Latency.java
 *		From a producer to a waiting consumer, at a steady rate.
 *
 * One producer sends RATE records a second, at fixed times and without waiting
 * for their acknowledgements; one consumer waits in poll().  A record is the
 * JSON object EVENT with its number.  As in consumer.c the first second does
 * not count, and a record is received when the call that brings it returns.
 * The result, in ms, is p50, p99 and p99.9 of three times: from when the record
 * was due to be sent to receipt; from just before it was sent to receipt; from
 * just before it was sent to its acknowledgement.
 */
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.Locale;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;

final class Latency
{
	private static final long GIVE_UP_NANOS = 10_000_000_000L;
	private static final int NUMBER_AT = "{\"number\":".length();

	private Latency()
	{
	}

	static String run(Clients clients, String topic, int rate, int seconds, String event) throws Exception
	{
		int			count = rate * (seconds + 1);
		long[]		due = new long[count];
		long[]		sent = new long[count];
		long[]		acknowledged = new long[count];
		long[]		received = new long[count];
		CountDownLatch acks = new CountDownLatch(count);

		try (KafkaConsumer<byte[], byte[]> consumer = clients.consumer(topic);
			 KafkaProducer<byte[], byte[]> producer = clients.producer())
		{
			consumer.seekToEnd(consumer.assignment());
			consumer.assignment().forEach(consumer::position);
			producer.partitionsFor(topic);

			long		start = System.nanoTime() + 500_000_000L;

			for (int i = 0; i < count; i++)
				due[i] = start + i * 1_000_000_000L / rate;

			Thread		sender = new Thread(() -> {
				for (int i = 0; i < count; i++)
				{
					int			number = i;
					byte[]		key = ("visitor" + i % 1000).getBytes(StandardCharsets.UTF_8);
					long		wait;

					while ((wait = due[i] - System.nanoTime()) > 0)
						LockSupport.parkNanos(wait);
					sent[i] = System.nanoTime();

					byte[]		value = String.format(Locale.ROOT, "{\"number\":%d,\"sent\":%.6f,%s", i, sent[i] / 1e9,
													  event.substring(1)).getBytes(StandardCharsets.UTF_8);

					producer.send(new ProducerRecord<>(topic, key, value), (metadata, problem) -> {
						acknowledged[number] = System.nanoTime();
						if (problem == null)
							acks.countDown();
					});
				}
			});

			sender.setDaemon(true);
			sender.start();
			receive(consumer, received);
			if (!acks.await(10, TimeUnit.SECONDS))
				throw new IllegalStateException(acks.getCount() + " records were not acknowledged");
			sender.join();
		}
		return percentiles(due, received, rate) + " " + percentiles(sent, received, rate) + " " +
			percentiles(sent, acknowledged, rate) + " " + count;
	}

	private static void receive(KafkaConsumer<byte[], byte[]> consumer, long[] received)
	{
		long		deadline = System.nanoTime() + GIVE_UP_NANOS;
		int			count = 0;

		while (count < received.length)
		{
			ConsumerRecords<byte[], byte[]> records = consumer.poll(Duration.ofSeconds(1));
			long		at = System.nanoTime();

			for (ConsumerRecord<byte[], byte[]> record : records)
			{
				int			number = number(record.value());

				if (received[number] != 0)
					throw new IllegalStateException("record " + number + " came twice");
				received[number] = at;
				count++;
			}
			if (!records.isEmpty())
				deadline = at + GIVE_UP_NANOS;
			else if (at > deadline)
				throw new IllegalStateException("only " + count + " of " + received.length + " records came");
		}
	}

	private static int number(byte[] value)
	{
		int			number = 0;

		for (int i = NUMBER_AT; value[i] != ','; i++)
			number = number * 10 + value[i] - '0';
		return number;
	}

	private static String percentiles(long[] from, long[] to, int first)
	{
		long[]		times = new long[to.length - first];

		for (int i = 0; i < times.length; i++)
			times[i] = to[first + i] - from[first + i];
		Arrays.sort(times);
		return String.format(Locale.ROOT, "%.4f %.4f %.4f", times[times.length / 2] / 1e6,
							 times[(int) (times.length * 0.99)] / 1e6, times[(int) (times.length * 0.999)] / 1e6);
	}
}
