/*
 * Consume.java
 *		A consumer that reads a topic from its beginning to its end.
 *
 * It polls 500 records at a time and commits as consumers do if told nothing
 * else, every 5 seconds.  COUNT is what the topic must have.  The result: the
 * seconds it took, and the bytes of the values.
 */
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;

import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;

final class Consume
{
	private Consume()
	{
	}

	static String run(Clients clients, String topic, long count)
	{
		Map<Integer, Long> next = new HashMap<>();
		long		done = 0;
		long		bytes = 0;
		double		seconds;

		try (KafkaConsumer<byte[], byte[]> consumer = clients.consumer(topic))
		{
			consumer.seekToBeginning(consumer.assignment());
			consumer.assignment().forEach(partition -> next.put(partition.partition(), consumer.position(partition)));

			long		start = System.nanoTime();

			while (done < count)
			{
				ConsumerRecords<byte[], byte[]> records = consumer.poll(Duration.ofSeconds(10));

				if (records.isEmpty())
					throw new IllegalStateException(topic + " has only " + done + " records");
				for (ConsumerRecord<byte[], byte[]> record : records)
				{
					if (next.put(record.partition(), record.offset() + 1) != record.offset())
						throw new IllegalStateException("records are missing before offset " + record.offset());
					bytes += record.value().length;
				}
				done += records.count();
			}
			seconds = (System.nanoTime() - start) / 1e9;
		}
		if (done != count)
			throw new IllegalStateException(topic + " has more than " + count + " records");
		return seconds + " " + bytes;
	}
}
