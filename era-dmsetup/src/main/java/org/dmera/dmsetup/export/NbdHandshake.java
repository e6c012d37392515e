// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ByteChannel;
import java.util.ArrayList;
import java.util.List;
import org.dmera.core.linux.NativeText;
import org.dmera.dmsetup.device.DeviceIo;
import org.dmera.dmsetup.targets.Failures;

/**
 * The fixed-newstyle handshake: options until the client has chosen a device, or given up.
 *
 * <p>Nothing here is hot, and nothing that a client sends is trusted: an option longer than {@value #MAX_OPTION_BYTES}
 * bytes ends the connection, every other oddity gets the protocol's error and the talk goes on.
 */
final class NbdHandshake {
    private static final int MAX_OPTION_BYTES = 64 << 10;
    /** Anything goes, page-sized is best, and no payload over 32 MiB. */
    private static final int MIN_BLOCK_BYTES = 1;

    private static final int PREFERRED_BLOCK_BYTES = 4096;
    private static final int RESERVED_BYTES = 124;
    /** Each is looked up for each BLOCK_STATUS; nobody needs so many at once. */
    static final int MAX_CONTEXTS = 128;

    /** Puts TLS on the channel after the client asked for it; null where the server offers none. */
    interface TlsUpgrade {
        ByteChannel upgrade(ByteChannel plain) throws IOException;
    }

    /** What was agreed on. The receiver closes {@code device}. */
    record Agreed(
            ByteChannel channel,
            ExportSource.OpenDevice device,
            boolean structured,
            boolean extended,
            List<MetaContexts.Context> contexts) {}

    /** An option that is refused, by an error reply; then the talk goes on. */
    private static final class RefusedException extends IOException {
        private static final long serialVersionUID = 1L;

        final int reply;

        RefusedException(int reply, String why) {
            super(why);
            this.reply = reply;
        }
    }

    private final ExportSource exports;
    private final TlsUpgrade tls;
    private final boolean tlsRequired;
    private ByteChannel channel;
    private boolean secured;
    private boolean noZeroes;
    private boolean structured;
    private boolean extended;
    private String contextsExport;
    private List<MetaContexts.Context> contexts = List.of();

    NbdHandshake(ByteChannel channel, ExportSource exports, TlsUpgrade tls, boolean tlsRequired) {
        this.channel = channel;
        this.exports = exports;
        this.tls = tls;
        this.tlsRequired = tlsRequired;
    }

    /** Talks until a device is chosen; null when the client ended the talk. */
    Agreed run() throws IOException {
        send(ByteBuffer.allocate(18)
                .putLong(Nbd.MAGIC)
                .putLong(Nbd.OPTION_MAGIC)
                .putShort((short) (Nbd.FIXED_NEWSTYLE | Nbd.NO_ZEROES)));
        int clientFlags = receive(4).getInt();
        if ((clientFlags & ~(Nbd.FIXED_NEWSTYLE | Nbd.NO_ZEROES)) != 0) {
            throw new ProtocolException("sent unknown flags " + Integer.toHexString(clientFlags));
        }
        if (tlsRequired && (clientFlags & Nbd.FIXED_NEWSTYLE) == 0) {
            throw new ProtocolException("does without the fixed newstyle handshake, which TLS needs");
        }
        noZeroes = (clientFlags & Nbd.NO_ZEROES) != 0;
        while (true) {
            ByteBuffer header = receive(16);
            if (header.getLong() != Nbd.OPTION_MAGIC) {
                throw new ProtocolException("sent an option without its magic number");
            }
            int option = header.getInt();
            int length = header.getInt();
            if (length < 0 || length > MAX_OPTION_BYTES) {
                throw new ProtocolException("sent an option of " + Integer.toUnsignedLong(length) + " bytes, at most "
                        + MAX_OPTION_BYTES + " were expected");
            }
            ByteBuffer data = receive(length);
            if (option == Nbd.OPT_ABORT) {
                abort();
                return null;
            }
            try {
                Agreed agreed = answer(option, data);
                if (agreed != null) {
                    return agreed;
                }
            } catch (RefusedException e) {
                byte[] why = Nbd.text(e.getMessage(), Nbd.MAX_STRING_BYTES);
                reply(option, e.reply, ByteBuffer.allocate(why.length).put(why));
            }
        }
    }

    private void abort() {
        try {
            acknowledge(Nbd.OPT_ABORT);
            channel.close();
        } catch (IOException e) {
            // It need not wait for an answer.
            return;
        }
    }

    private Agreed answer(int option, ByteBuffer data) throws IOException {
        if (tlsRequired && !secured && option != Nbd.OPT_STARTTLS) {
            if (option == Nbd.OPT_EXPORT_NAME) {
                throw new ProtocolException("asked for an export without TLS");
            }
            throw new RefusedException(Nbd.REP_ERR_TLS_REQD, "TLS is required: send STARTTLS first");
        }
        switch (option) {
            case Nbd.OPT_EXPORT_NAME -> {
                return exportName(data);
            }
            case Nbd.OPT_INFO, Nbd.OPT_GO -> {
                return info(option, data);
            }
            case Nbd.OPT_LIST -> list(data);
            case Nbd.OPT_STARTTLS -> startTls(data);
            case Nbd.OPT_STRUCTURED_REPLY, Nbd.OPT_EXTENDED_HEADERS -> replyForm(option, data);
            case Nbd.OPT_LIST_META_CONTEXT, Nbd.OPT_SET_META_CONTEXT -> metaContext(option, data);
            default ->
                throw new RefusedException(
                        Nbd.REP_ERR_UNSUP, "option " + Integer.toUnsignedString(option) + " is not supported");
        }
        return null;
    }

    /** The old way to choose: no error can be told, only the connection closed. */
    private Agreed exportName(ByteBuffer data) throws IOException {
        if (extended) {
            throw new ProtocolException("agreed on extended headers and then chose its export in the old way");
        }
        String name = text(data, data.remaining());
        ExportSource.OpenDevice device = exports.open(name);
        return Failures.takingBack(device::close, () -> {
            ByteBuffer answer = ByteBuffer.allocate(10 + RESERVED_BYTES)
                    .putLong(device.io().sizeBytes())
                    .putShort((short) transmissionFlags(device.io(), false));
            send(answer.position(answer.position() + (noZeroes ? 0 : RESERVED_BYTES)));
            return agreed(name, device);
        });
    }

    private void replyForm(int option, ByteBuffer data) throws IOException {
        requireEmpty(data);
        if (extended && option == Nbd.OPT_STRUCTURED_REPLY) {
            throw new RefusedException(Nbd.REP_ERR_EXT_HEADER_REQD, "extended headers were agreed on already");
        }
        structured = true;
        extended |= option == Nbd.OPT_EXTENDED_HEADERS;
        acknowledge(option);
    }

    private void list(ByteBuffer data) throws IOException {
        requireEmpty(data);
        for (String name : exports.names()) {
            byte[] bytes = NativeText.bytes(name);
            ByteBuffer named = ByteBuffer.allocate(4 + bytes.length);
            reply(Nbd.OPT_LIST, Nbd.REP_SERVER, named.putInt(bytes.length).put(bytes));
        }
        acknowledge(Nbd.OPT_LIST);
    }

    private void startTls(ByteBuffer data) throws IOException {
        requireEmpty(data);
        if (secured) {
            throw new RefusedException(Nbd.REP_ERR_INVALID, "TLS is in use already");
        }
        if (tls == null) {
            throw new RefusedException(Nbd.REP_ERR_POLICY, "this server has no TLS");
        }
        acknowledge(Nbd.OPT_STARTTLS);
        channel = tls.upgrade(channel);
        // What was agreed on in the clear might have been said by somebody else.
        secured = true;
        structured = false;
        extended = false;
        contextsExport = null;
        contexts = List.of();
    }

    private Agreed info(int option, ByteBuffer data) throws IOException {
        String name = lengthPrefixed(data);
        requireWhole(data.remaining() >= 2);
        requireWhole(data.remaining() - 2 == 2 * Short.toUnsignedInt(data.getShort()));
        ExportSource.OpenDevice device = open(name);
        if (option == Nbd.OPT_GO) {
            return Failures.takingBack(device::close, () -> {
                describe(option, name, device.io());
                acknowledge(option);
                return agreed(name, device);
            });
        }
        try (device) {
            describe(option, name, device.io());
        }
        // Whoever has the answer may remove the device.
        acknowledge(option);
        return null;
    }

    private ExportSource.OpenDevice open(String name) throws RefusedException {
        try {
            return exports.open(name);
        } catch (IOException e) {
            throw new RefusedException(Nbd.REP_ERR_UNKNOWN, "no device '" + name + "'");
        }
    }

    /** Contexts count for the export for which they were set. */
    private Agreed agreed(String name, ExportSource.OpenDevice device) {
        return new Agreed(channel, device, structured, extended, hasContexts(name) ? contexts : List.of());
    }

    private boolean hasContexts(String name) {
        return structured && name.equals(contextsExport) && !contexts.isEmpty();
    }

    private void describe(int option, String name, DeviceIo io) throws IOException {
        boolean choosing = extended && (option == Nbd.OPT_INFO || hasContexts(name));
        ByteBuffer export = info(Nbd.INFO_EXPORT, 10);
        reply(option, Nbd.REP_INFO, export.putLong(io.sizeBytes()).putShort((short) transmissionFlags(io, choosing)));
        ByteBuffer blockSize = info(Nbd.INFO_BLOCK_SIZE, 12);
        blockSize.putInt(MIN_BLOCK_BYTES).putInt(PREFERRED_BLOCK_BYTES).putInt(Nbd.MAX_PAYLOAD_BYTES);
        reply(option, Nbd.REP_INFO, blockSize);
        byte[] bytes = NativeText.bytes(name);
        reply(option, Nbd.REP_INFO, info(Nbd.INFO_NAME, bytes.length).put(bytes));
    }

    /** An information of that kind, with so many bytes to follow. */
    private static ByteBuffer info(int kind, int bytes) {
        return ByteBuffer.allocate(2 + bytes).putShort((short) kind);
    }

    /** {@code choosing} says whether a BLOCK_STATUS may choose from the contexts that it is to be answered for. */
    private int transmissionFlags(DeviceIo io, boolean choosing) {
        int flags = Nbd.HAS_FLAGS | Nbd.SEND_FLUSH | Nbd.SEND_FUA | Nbd.CAN_MULTI_CONN | Nbd.SEND_CACHE;
        if (structured) {
            flags |= Nbd.SEND_DF;
        }
        if (choosing) {
            flags |= Nbd.BLOCK_STAT_PAYLOAD;
        }
        return flags | (io.isReadOnly() ? Nbd.READ_ONLY : Nbd.SEND_TRIM | Nbd.SEND_WRITE_ZEROES | Nbd.SEND_FAST_ZERO);
    }

    private void metaContext(int option, ByteBuffer data) throws IOException {
        if (!structured) {
            throw new RefusedException(Nbd.REP_ERR_INVALID, "structured replies must be agreed on first");
        }
        boolean set = option == Nbd.OPT_SET_META_CONTEXT;
        if (set) {
            contextsExport = null;
            contexts = List.of();
        }
        String name = lengthPrefixed(data);
        requireWhole(data.remaining() >= 4);
        int count = data.getInt();
        // Each has four bytes for its length, at least.
        requireWhole(count >= 0 && count <= data.remaining() / 4);
        List<String> queries = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            queries.add(lengthPrefixed(data));
        }
        requireWhole(!data.hasRemaining());
        if (count > MAX_CONTEXTS) {
            // Each may take a look at the whole record.
            throw new RefusedException(
                    Nbd.REP_ERR_TOO_BIG, "at most " + MAX_CONTEXTS + " contexts can be asked for at once");
        }
        List<MetaContexts.Context> selected;
        try (ExportSource.OpenDevice device = open(name)) {
            selected = MetaContexts.select(device.io(), queries, !set);
        } catch (MetaContexts.RefusedException e) {
            throw new RefusedException(Nbd.REP_ERR_INVALID, e.getMessage());
        }
        if (set && selected.size() > MAX_CONTEXTS) {
            throw new RefusedException(Nbd.REP_ERR_TOO_BIG, "at most " + MAX_CONTEXTS + " contexts can be selected");
        }
        for (int id = 0; id < selected.size(); id++) {
            byte[] bytes = NativeText.bytes(selected.get(id).name());
            ByteBuffer context = ByteBuffer.allocate(4 + bytes.length);
            reply(option, Nbd.REP_META_CONTEXT, context.putInt(set ? id : 0).put(bytes));
        }
        if (set) {
            contextsExport = name;
            contexts = selected;
        }
        acknowledge(option);
    }

    private static void requireEmpty(ByteBuffer data) throws RefusedException {
        if (data.hasRemaining()) {
            throw new RefusedException(Nbd.REP_ERR_INVALID, "the option takes no data");
        }
    }

    private static void requireWhole(boolean fits) throws RefusedException {
        if (!fits) {
            throw new RefusedException(Nbd.REP_ERR_INVALID, "lengths don't add up");
        }
    }

    /** A string behind its 32-bit length. */
    private static String lengthPrefixed(ByteBuffer data) throws RefusedException {
        requireWhole(data.remaining() >= 4);
        int length = data.getInt();
        requireWhole(length >= 0 && length <= Math.min(data.remaining(), Nbd.MAX_STRING_BYTES));
        return text(data, length);
    }

    private static String text(ByteBuffer data, int length) {
        byte[] bytes = new byte[length];
        data.get(bytes);
        return NativeText.of(bytes);
    }

    private void acknowledge(int option) throws IOException {
        reply(option, Nbd.REP_ACK, ByteBuffer.allocate(0));
    }

    /** {@code data} as it was filled. */
    private void reply(int option, int type, ByteBuffer data) throws IOException {
        data.flip();
        send(ByteBuffer.allocate(20 + data.remaining())
                .putLong(Nbd.OPTION_REPLY_MAGIC)
                .putInt(option)
                .putInt(type)
                .putInt(data.remaining())
                .put(data));
    }

    private void send(ByteBuffer filled) throws IOException {
        filled.flip();
        while (filled.hasRemaining()) {
            channel.write(filled);
        }
    }

    private ByteBuffer receive(int length) throws IOException {
        ByteBuffer data = ByteBuffer.allocate(length);
        while (data.hasRemaining()) {
            if (channel.read(data) < 0) {
                throw new EOFException("left during the handshake");
            }
        }
        return data.flip();
    }
}
