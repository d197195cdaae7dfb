package millrace.bench;

import java.io.IOException;
import java.io.Serializable;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Locale;

/** How far a bounded source has come: bench/jobs/nexmark/progress.ts. */
record Progress(String folder) implements Serializable {
  private static final int SPLITS = 8;
  private static final int EVERY = 8192;

  void note(long index) {
    long count = index / SPLITS;
    if ((count & (EVERY - 1)) != 0) return;
    String line = String.format(Locale.ROOT, "%.3f %d%n", System.nanoTime() / 1e6, count);
    try {
      Files.createDirectories(Path.of(folder));
      Path file = Path.of(folder, "progress-" + index % SPLITS + "-1");
      Files.writeString(file, line, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }
}
