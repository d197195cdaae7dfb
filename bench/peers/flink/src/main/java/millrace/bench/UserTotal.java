package millrace.bench;

/** Records and sum of prices of one user in one window. */
public class UserTotal {
  public String userId;
  /** Start of the window, ms. */
  public long start;
  public double count;
  public double sum;
}
