import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.reflect.InvocationTargetException;
import java.util.Arrays;
import java.util.Objects;
import java.util.function.BooleanSupplier;

/** Which checks to run and how results are told; clients/python/program.py describes the lines. */
final class Program {
  static final long PATIENCE_MS = 45_000;
  static final int LARGE_LIMIT = 25_000_000;
  static final int[] SIZES = {1, 1000, 100_000, 1_000_000, 5_000_000, 20_000_000};
  private static final BufferedReader INPUT = new BufferedReader(new InputStreamReader(System.in));

  private Program() {}

  /** Thrown by a check that the client has no feature for. */
  static final class CannotDo extends RuntimeException {
    CannotDo(String reason) {
      super(reason);
    }
  }

  static void killBroker() {
    tell("{\"ask\": \"kill\"}");
    try {
      INPUT.readLine();
    } catch (java.io.IOException error) {
      throw new IllegalStateException(error);
    }
  }

  private static synchronized void tell(String line) {
    System.out.println(line);
    System.out.flush();
  }

  private static String quote(String text) {
    StringBuilder out = new StringBuilder("\"");
    for (char c : text.toCharArray()) {
      if (c == '"' || c == '\\') {
        out.append('\\').append(c);
      } else if (c < ' ') {
        out.append(' ');
      } else {
        out.append(c);
      }
    }
    return out.append('"').toString();
  }

  static byte[] valueOfSize(int size) {
    byte[] value = new byte[size];
    for (int i = 0; i < size; i++) {
      value[i] = (byte) ('a' + i % 26);
    }
    return value;
  }

  static void expect(Object actual, Object wanted, String what) {
    if (!Objects.deepEquals(actual, wanted)) {
      throw new AssertionError(what + ": " + shorten(actual) + ", expected " + shorten(wanted));
    }
  }

  private static String shorten(Object value) {
    String text = String.valueOf(value);
    return text.length() > 300 ? text.substring(0, 300) : text;
  }

  static void waitFor(BooleanSupplier condition, String what) {
    long end = System.nanoTime() + PATIENCE_MS * 1_000_000;
    while (System.nanoTime() < end) {
      if (condition.getAsBoolean()) {
        return;
      }
    }
    throw new AssertionError("after " + PATIENCE_MS + " ms still not: " + what);
  }

  static void run(String client, Object checks, String[] names) {
    tell("{\"client\": " + quote(client) + "}");
    for (String name : names) {
      long started = System.nanoTime();
      String result = "pass";
      String detail = "";
      try {
        checks.getClass().getDeclaredMethod(name).invoke(checks);
      } catch (NoSuchMethodException absent) {
        result = "none";
        detail = "not offered by this client";
      } catch (InvocationTargetException thrown) {
        Throwable cause = thrown.getCause();
        result = cause instanceof CannotDo ? "none" : "fail";
        detail = cause + where(cause);
      } catch (IllegalAccessException error) {
        result = "fail";
        detail = error.toString();
      }
      double seconds = (System.nanoTime() - started) / 1e9;
      tell("{\"check\": " + quote(name) + ", \"result\": " + quote(result) + ", \"detail\": "
          + quote(detail) + ", \"seconds\": " + seconds + "}");
    }
    System.exit(0);
  }

  private static String where(Throwable error) {
    return Arrays.stream(error.getStackTrace())
        .filter(frame -> frame.getClassName().startsWith("Checks"))
        .findFirst().map(frame -> " (" + frame.getMethodName() + ":" + frame.getLineNumber() + ")")
        .orElse("");
  }
}
