// SPDX-License-Identifier: Apache-2.0
package org.dmera.tools.backup.stream;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Instant;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.zip.CRC32C;
import org.dmera.core.EraToken;
import org.dmera.core.linux.NativeText;

/**
 * The beginning of a stream: what was copied, from when to when. {@value #BYTES} bytes, and the token if there is one.
 * Little-endian.
 *
 * <pre>
 *   0  8    89 45 52 41 0d 0a 1a 0a: "ERA" between what a transfer as text would change
 *   8  u32  VERSION_OFFSET       1
 *  12  u32  HEADER_BYTES_OFFSET  256, and the token's bytes
 *  16  16   ID                   random
 *  32  u64  ORIGIN_SIZE          bytes
 *  40  u64  BASE_SIZE            bytes
 *  48  u64  BLOCK_SIZE           bytes
 *  56  u32  FLAGS                1 full, 2 metadata snapshot, 4 merged, 8 point in time
 *  60  u32  BASE_ERA
 *  64  u32  NEW_ERA
 *  72  u64  CREATED              seconds since 1970
 *  80  16   METADATA_UUID
 *  96  u32  IDENTITY_LENGTH      bytes, at most 144
 * 100  144  IDENTITY
 * 244  u64  HISTORY              of the full copy that it goes back to, random; 0 when that isn't known
 * 252  u32  CRC                  CRC32C of the 252 bytes before; a token has a checksum of its own
 * 256       the token, if there is one
 * </pre>
 *
 * <p>Worked example: the first 256 bytes of {@code data.000002.incr.erastream}, one of the project's fixtures.
 *
 * <pre>
 *     0  89 45 52 41 0d 0a 1a 0a 01 00 00 00 00 01 00 00
 *    16  f1 d1 da 60 fa de d6 c6 94 e4 f9 10 71 96 a8 0d
 *    32  00 02 10 00 00 00 00 00 00 02 10 00 00 00 00 00
 *    48  00 00 01 00 00 00 00 00 00 00 00 00 04 00 00 00
 *    64  07 00 00 00 00 00 00 00 32 62 0a 6b 00 00 00 00
 *    96  07 00 00 00 66 69 78 74 75 72 65 00 00 00 00 00
 *   240  00 00 00 00 74 e8 20 5d 3c 6a 1f 9b 50 97 c0 75
 *
 *  originSizeBytes() = 1049088   baseSizeBytes() = 1049088   blockSizeBytes() = 65536
 *  flags() = 0   isFull() = false   baseEra() = 4   newEra() = 7   createdUnixSeconds() = 1795842610
 *  identity() = "fixture"   history() = -7268974466059671436
 * </pre>
 *
 * <p>The increment is complete for a target that holds every write of eras below {@code baseEra}; when it has been
 * applied the target holds every write of eras below {@code newEra}. Bytes of the origin from {@code baseSizeBytes} on
 * are in the increment whether or not they were written since: the origin grew there.
 *
 * @param streamId random, 16 bytes: seeds every checksum of the stream
 * @param originSizeBytes size of the origin, which becomes the target's
 * @param baseSizeBytes the smallest target size that the increment is complete for; 0 in a full stream
 * @param blockSizeBytes what one bit of dm-era's metadata stands for
 * @param flags {@link #FULL} and so on
 * @param baseEra eras from this one on are in the stream; 0 in a full stream
 * @param newEra the next increment's base
 * @param createdUnixSeconds when the copy began, UTC
 * @param metadataUuid the 16 bytes of the superblock's uuid; the kernel leaves it zero
 * @param identity names the metadata device, so that increments of another are refused; at most
 *     {@value #MAX_IDENTITY_BYTES} bytes of UTF-8
 * @param history what a full copy and all that goes back to it have in common; 0 when that isn't known. Eras of different
 *     metadata can't be compared, and the identity stays the same when metadata is made anew on the same device
 * @param token {@link EraToken#encode} for the new era, by which an increment after this stream sees
 *     whether its metadata is the same; no bytes when there is none
 */
@SuppressWarnings("ArrayRecordComponent")
public record StreamHeader(
        byte[] streamId,
        long originSizeBytes,
        long baseSizeBytes,
        long blockSizeBytes,
        int flags,
        long baseEra,
        long newEra,
        long createdUnixSeconds,
        byte[] metadataUuid,
        String identity,
        long history,
        byte[] token) {
    /** Without the token. */
    public static final int BYTES = 256;

    /** Bytes of a stream's id. */
    public static final int ID_BYTES = 16;
    /** The version of the format. */
    public static final int VERSION = 1;
    /** The most bytes that an identity may have. */
    public static final int MAX_IDENTITY_BYTES = 144;
    /** The most bytes that a token may have. */
    public static final int MAX_TOKEN_BYTES = 4096;

    /** Every byte of the origin is in the stream. */
    public static final int FULL = 1;
    /** The changed blocks were read from a metadata snapshot. */
    public static final int METADATA_SNAPSHOT = 2;
    /** Merged from a chain of streams. */
    public static final int MERGED = 4;
    /** The data were read from a snapshot of the origin: they are of one moment. */
    public static final int POINT_IN_TIME = 8;

    private static final int KNOWN_FLAGS = FULL | METADATA_SNAPSHOT | MERGED | POINT_IN_TIME;

    /** As in PNG: a byte above 127 and both line ends, so that a transfer in text mode shows at once. */
    private static final byte[] MAGIC = {(byte) 0x89, 'E', 'R', 'A', '\r', '\n', 0x1a, '\n'};

    private static final int VERSION_OFFSET = 8;
    private static final int HEADER_BYTES_OFFSET = 12;
    private static final int ID = 16;
    private static final int ORIGIN_SIZE = 32;
    private static final int BASE_SIZE = 40;
    private static final int BLOCK_SIZE = 48;
    private static final int FLAGS = 56;
    private static final int BASE_ERA = 60;
    private static final int NEW_ERA = 64;
    private static final int CREATED = 72;
    private static final int METADATA_UUID = 80;
    private static final int IDENTITY_LENGTH = 96;
    private static final int IDENTITY = 100;
    private static final int HISTORY = 244;
    private static final int CRC = 252;

    /** {@return whether every byte of the origin is in the stream} */
    public boolean isFull() {
        return (flags & FULL) != 0;
    }

    /**
     * {@return the history of what this stream is applied to}
     *
     * @param before what it was until then; it stays if this one's isn't known
     */
    public long historyAfter(long before) {
        return isFull() || history != 0 ? history : before;
    }

    /**
     * {@return the token, by which metadata is seen to be that of the stream; null when it has none}
     *
     * @param where the stream's name, for messages
     * @throws StreamException when this program can't read it
     */
    public EraToken eraToken(String where) throws StreamException {
        try {
            return token.length == 0 ? null : EraToken.decode(token);
        } catch (IOException e) {
            throw new StreamException(where, "the token of its era: " + e.getMessage(), e);
        }
    }

    /** Whether there is no token, or one that is as it was written, though this program may not be able to read it. */
    boolean isTokenWhole() {
        return token.length == 0 || EraToken.isWhole(token);
    }

    /** {@return the stream id in hexadecimal} */
    public String idText() {
        return HexFormat.of().formatHex(streamId);
    }

    /**
     * {@return the header's bytes, checksum and token included}
     *
     * @throws IllegalArgumentException when no stream can begin so
     */
    public byte[] encode() {
        byte[] name = NativeText.bytes(identity);
        if (name.length > MAX_IDENTITY_BYTES) {
            throw new IllegalArgumentException("the identity \"" + identity + "\" is longer than " + MAX_IDENTITY_BYTES
                    + " bytes, the most that a stream can carry");
        }
        if (streamId.length != ID_BYTES || metadataUuid.length != 16) {
            throw new IllegalArgumentException("a stream's id and the metadata's uuid have 16 bytes each, not "
                    + streamId.length + " and " + metadataUuid.length);
        }
        if (token.length > MAX_TOKEN_BYTES || !isTokenWhole()) {
            throw new IllegalArgumentException("no token of an era: the stream would be refused");
        }
        if (impossible() != null) {
            throw new IllegalArgumentException("the stream header would hold " + impossible());
        }
        byte[] bytes = new byte[BYTES + token.length];
        System.arraycopy(token, 0, bytes, BYTES, token.length);
        ByteBuffer b = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        b.put(0, MAGIC);
        b.putInt(VERSION_OFFSET, VERSION);
        b.putInt(HEADER_BYTES_OFFSET, bytes.length);
        b.put(ID, streamId);
        b.putLong(ORIGIN_SIZE, originSizeBytes);
        b.putLong(BASE_SIZE, baseSizeBytes);
        b.putLong(BLOCK_SIZE, blockSizeBytes);
        b.putInt(FLAGS, flags);
        b.putInt(BASE_ERA, (int) baseEra);
        b.putInt(NEW_ERA, (int) newEra);
        b.putLong(CREATED, createdUnixSeconds);
        b.put(METADATA_UUID, metadataUuid);
        b.putInt(IDENTITY_LENGTH, name.length);
        b.put(IDENTITY, name);
        b.putLong(HISTORY, history);
        b.putInt(CRC, crc(bytes));
        return bytes;
    }

    /** How many bytes follow the first {@value #BYTES}, which {@link #decode} is to have too. */
    static int tokenBytes(byte[] first) {
        int all = ByteBuffer.wrap(first).order(ByteOrder.LITTLE_ENDIAN).getInt(HEADER_BYTES_OFFSET);
        // What can't be true is refused by decode.
        return all < BYTES || all > BYTES + MAX_TOKEN_BYTES ? 0 : all - BYTES;
    }

    /**
     * {@return a header that was read and checked}
     *
     * @param bytes header and token
     * @param where the stream's name, for messages
     * @throws StreamException when they are not those of a header, or damaged
     */
    public static StreamHeader decode(byte[] bytes, String where) throws StreamException {
        ByteBuffer b = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < MAGIC.length; i++) {
            if (bytes[i] != MAGIC[i]) {
                throw new StreamException(where, "not an era stream (it does not begin with the stream's magic)");
            }
        }
        if (b.getInt(VERSION_OFFSET) != VERSION) {
            throw new StreamException(
                    where,
                    "era stream version " + Integer.toUnsignedString(b.getInt(VERSION_OFFSET))
                            + "; this program reads version " + VERSION);
        }
        if (b.getInt(CRC) != crc(bytes)) {
            throw new StreamException(where, "the stream header's checksum is wrong: damaged");
        }
        int nameBytes = b.getInt(IDENTITY_LENGTH);
        if (b.getInt(HEADER_BYTES_OFFSET) != bytes.length || nameBytes < 0 || nameBytes > MAX_IDENTITY_BYTES) {
            throw new StreamException(where, "the stream header holds an impossible length");
        }
        byte[] id = new byte[ID_BYTES];
        b.get(ID, id);
        byte[] uuid = new byte[16];
        b.get(METADATA_UUID, uuid);
        StreamHeader h = new StreamHeader(
                id,
                b.getLong(ORIGIN_SIZE),
                b.getLong(BASE_SIZE),
                b.getLong(BLOCK_SIZE),
                b.getInt(FLAGS),
                Integer.toUnsignedLong(b.getInt(BASE_ERA)),
                Integer.toUnsignedLong(b.getInt(NEW_ERA)),
                b.getLong(CREATED),
                uuid,
                new String(bytes, IDENTITY, nameBytes, NativeText.CHARSET),
                b.getLong(HISTORY),
                Arrays.copyOfRange(bytes, BYTES, bytes.length));
        if (h.impossible() != null) {
            throw new StreamException(where, "the stream header holds " + h.impossible());
        }
        return h;
    }

    /** What no reader takes; null when there is nothing. */
    private String impossible() {
        if (originSizeBytes < 0 || blockSizeBytes <= 0 || baseSizeBytes < 0) {
            return "an impossible size";
        }
        if (createdUnixSeconds < 0 || createdUnixSeconds > Instant.MAX.getEpochSecond()) {
            return "an impossible date";
        }
        return (flags & ~KNOWN_FLAGS) != 0 ? "flags that this program does not know" : null;
    }

    private static int crc(byte[] bytes) {
        CRC32C crc = new CRC32C();
        crc.update(bytes, 0, CRC);
        return (int) crc.getValue();
    }
}
