/*
 * Single.java
 *		Producers that send a record and wait until it is acknowledged.
 *
 * CLIENTS threads do so for SECONDS, each with a producer of its own or all
 * with the same one, after each has had a first record acknowledged.  FILE has
 * a record a line, key and value, which they send in turn.  The result: records
 * acknowledged a second, and how many records were acknowledged at all.
 */
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;

final class Single
{
	private Single()
	{
	}

	static String run(Clients clients, String topic, String file, int count, String[] more) throws Exception
	{
		boolean		shared = more[0].equals("shared");
		long		nanos = Long.parseLong(more[1]) * 1_000_000_000L;
		List<byte[][]> records = read(file);
		List<KafkaProducer<byte[], byte[]>> producers = new ArrayList<>();
		CyclicBarrier barrier = new CyclicBarrier(count);
		ExecutorService threads = Executors.newFixedThreadPool(count);
		List<Future<Double>> rates = new ArrayList<>();
		long[]		acknowledged = new long[count];
		double		rate = 0;

		for (int i = 0; i < (shared ? 1 : count); i++)
			producers.add(clients.producer());
		for (int i = 0; i < count; i++)
		{
			int			number = i;
			KafkaProducer<byte[], byte[]> producer = producers.get(shared ? 0 : i);
			Callable<Double> task = () -> {
				send(producer, topic, records.get(number % records.size()));
				barrier.await();

				long		start = System.nanoTime();
				long		done = 0;

				while (System.nanoTime() - start < nanos)
				{
					send(producer, topic, records.get((int) ((number + done) % records.size())));
					done++;
				}
				acknowledged[number] = done + 1;
				return done * 1e9 / (System.nanoTime() - start);
			};

			rates.add(threads.submit(task));
		}
		for (Future<Double> one : rates)
			rate += one.get();
		threads.shutdown();
		for (KafkaProducer<byte[], byte[]> producer : producers)
			producer.close();

		long		total = 0;

		for (long some : acknowledged)
			total += some;
		return rate + " " + total;
	}

	private static List<byte[][]> read(String file) throws Exception
	{
		List<byte[][]> records = new ArrayList<>();

		for (String line : Files.readAllLines(Path.of(file)))
		{
			String[]	fields = line.split("\t");

			records.add(new byte[][] {fields[0].getBytes(StandardCharsets.UTF_8),
									  fields[1].getBytes(StandardCharsets.UTF_8)});
		}
		return records;
	}

	private static void send(KafkaProducer<byte[], byte[]> producer, String topic, byte[][] record) throws Exception
	{
		RecordMetadata metadata = producer.send(new ProducerRecord<>(topic, record[0], record[1])).get();

		if (!metadata.hasOffset())
			throw new IllegalStateException("a record was acknowledged without an offset");
	}
}
