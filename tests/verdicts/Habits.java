// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
import java.nio.ByteBuffer;
import java.util.*;

/** Typical memory use of a JVM: garbage, a cache of bounded size, a list that only grows, memory outside the heap. */
public class Habits {
	static final List<Object> kept = new ArrayList<>();

	public static void main(String[] args) throws Exception {
		Map<Integer, byte[]> lru = new LinkedHashMap<>(16, .75f, true) {
			protected boolean removeEldestEntry(Map.Entry<Integer, byte[]> e) {
				return size() > 5000;
			}
		};
		Random random = new Random(1);

		for (int n = 0;; n++) {
			if (args[0].equals("garbage"))
				for (int i = 0; i < 2000; i++)
					kept.add("x" + i);
			if (args[0].equals("lru"))
				for (int i = 0; i < 50; i++)
					lru.put(random.nextInt(30000), new byte[2000]);
			if (args[0].equals("leak"))
				for (int i = 0; i < 20; i++)
					kept.add(new byte[2000]);
			if (args[0].equals("direct"))
				kept.add(ByteBuffer.allocateDirect(10000));
			if (args[0].equals("garbage"))
				kept.clear();
			Thread.sleep(20);
		}
	}
}
