package millrace.bench;

/** An event of Nexmark: of the three parts one is there. */
public class NexmarkEvent {
  public Person person;
  public Auction auction;
  public Bid bid;

  public long dateTime() {
    if (bid != null) return bid.dateTime;
    return person != null ? person.dateTime : auction.dateTime;
  }

  public static class Person {
    public long id;
    public String name;
    public String emailAddress;
    public String creditCard;
    public String city;
    public String state;
    public long dateTime;
    public String extra;
  }

  public static class Auction {
    public long id;
    public String itemName;
    public String description;
    public long initialBid;
    public long reserve;
    public long dateTime;
    public long expires;
    public long seller;
    public long category;
    public String extra;
  }

  public static class Bid {
    public long auction;
    public long bidder;
    public long price;
    public String channel;
    public String url;
    public long dateTime;
    public String extra;

    double fingerprint() {
      int mixed = RowTally.mix(RowTally.mix(RowTally.mix((int) auction, bidder), price), dateTime);
      return RowTally.fingerprintOf(RowTally.mixText(RowTally.mixText(mixed, channel), url));
    }
  }
}
