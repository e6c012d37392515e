// SPDX-License-Identifier: Apache-2.0
package org.dmera.tests.io;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * An NBD client that negotiates option by option, and then talks as was agreed on: it sends just what it is told, right or
 * wrong, and takes the answers apart.
 */
final class ChunkClient implements Closeable {
    static final int EXPORT_NAME = 1;
    static final int ABORT = 2;
    static final int LIST = 3;
    static final int INFO = 6;
    static final int GO = 7;
    static final int STRUCTURED_REPLY = 8;
    static final int LIST_META_CONTEXT = 9;
    static final int SET_META_CONTEXT = 10;
    static final int EXTENDED_HEADERS = 11;

    static final int ACK = 1;
    static final int REP_INFO = 3;
    static final int REP_META_CONTEXT = 4;
    static final int ERR_UNSUP = 0x80000001;
    static final int ERR_INVALID = 0x80000003;
    static final int ERR_UNKNOWN = 0x80000006;
    static final int ERR_TOO_BIG = 0x80000009;
    static final int ERR_EXT_HEADER_REQD = 0x8000000a;

    static final int BLOCK_STATUS = 7;

    static final int FUA = 1;
    static final int NO_HOLE = 2;
    static final int DF = 4;
    static final int REQ_ONE = 8;
    static final int FAST_ZERO = 16;
    static final int PAYLOAD_LEN = 32;

    static final int NONE = 0;
    static final int OFFSET_DATA = 1;
    static final int STATUS = 5;
    static final int STATUS_EXT = 6;
    static final int ERROR = 32769;

    private static final long OPTION_MAGIC = 0x49484156454F5054L;

    /** One answer to an option. */
    record Reply(int type, ByteBuffer body) {}

    /** One answer to a request, or a part of one; a simple reply is NONE or ERROR. */
    record Chunk(boolean done, int type, long cookie, long offset, ByteBuffer body) {
        /** The error number; 0 for none. */
        int error() {
            return type == ERROR ? body.getInt(0) : 0;
        }
    }

    final WireClient wire;
    private boolean extended;

    /** Connects, and agrees on the fixed newstyle. */
    ChunkClient(Path socket) throws IOException {
        wire = new WireClient(socket);
        wire.receive(18);
        wire.send(ByteBuffer.allocate(4).putInt(3));
    }

    /** Agrees on a form of answers and on contexts, and chooses an export. */
    static ChunkClient open(Path socket, String export, int form, String... contexts) throws IOException {
        ChunkClient client = new ChunkClient(socket);
        assertEquals(ACK, client.option(form).get(0).type);
        if (contexts.length > 0) {
            client.option(SET_META_CONTEXT, queries(export, contexts));
        }
        client.option(GO, named(export));
        return client;
    }

    void sendOption(int option, byte[] data) throws IOException {
        wire.send(ByteBuffer.allocate(16 + data.length)
                .putLong(OPTION_MAGIC)
                .putInt(option)
                .putInt(data.length)
                .put(data));
    }

    /** All answers to an option, up to the last one: an acknowledgement, or an error. */
    List<Reply> option(int option, byte... data) throws IOException {
        sendOption(option, data);
        List<Reply> replies = new ArrayList<>();
        while (true) {
            ByteBuffer head = wire.receive(20);
            assertEquals(0x0003e889045565a9L, head.getLong());
            assertEquals(option, head.getInt());
            int type = head.getInt();
            replies.add(new Reply(type, wire.receive(head.getInt())));
            if (type == ACK || type < 0) {
                extended |= type == ACK && option == EXTENDED_HEADERS;
                return replies;
            }
        }
    }

    /** The type of the last answer to an option. */
    int outcome(int option, byte... data) throws IOException {
        List<Reply> replies = option(option, data);
        return replies.get(replies.size() - 1).type;
    }

    /** What GO and INFO take: a name, and the information that is asked for. */
    static byte[] named(String export, int... infos) {
        byte[] name = export.getBytes(StandardCharsets.UTF_8);
        ByteBuffer data = ByteBuffer.allocate(6 + name.length + 2 * infos.length)
                .putInt(name.length)
                .put(name)
                .putShort((short) infos.length);
        for (int info : infos) {
            data.putShort((short) info);
        }
        return data.array();
    }

    /** What the options about contexts take. */
    static byte[] queries(String export, String... queries) {
        byte[] name = export.getBytes(StandardCharsets.UTF_8);
        ByteBuffer data =
                ByteBuffer.allocate(64 << 10).putInt(name.length).put(name).putInt(queries.length);
        for (String query : queries) {
            byte[] bytes = query.getBytes(StandardCharsets.UTF_8);
            data.putInt(bytes.length).put(bytes);
        }
        return java.util.Arrays.copyOf(data.array(), data.position());
    }

    /** Sends a request; {@code payload} may be null, or of another length than it says. */
    void request(int flags, int command, long cookie, long offset, long length, byte[] payload) throws IOException {
        ByteBuffer request = ByteBuffer.allocate(32 + (payload == null ? 0 : payload.length));
        request.putInt(extended ? 0x21e41c71 : 0x25609513)
                .putShort((short) flags)
                .putShort((short) command);
        request.putLong(cookie).putLong(offset);
        if (extended) {
            request.putLong(length);
        } else {
            request.putInt((int) length);
        }
        wire.send(payload == null ? request : request.put(payload));
    }

    Chunk chunk() throws IOException {
        int magic = wire.receive(4).getInt();
        if (magic == 0x67446698 && !extended) {
            ByteBuffer rest = wire.receive(12);
            int error = rest.getInt();
            ByteBuffer body =
                    error == 0 ? ByteBuffer.allocate(0) : ByteBuffer.allocate(4).putInt(0, error);
            return new Chunk(true, error == 0 ? NONE : ERROR, rest.getLong(), 0, body);
        }
        assertEquals(extended ? 0x6e8a278c : 0x668e33ef, magic);
        ByteBuffer head = wire.receive(extended ? 28 : 16);
        boolean done = head.getShort() == 1;
        int type = Short.toUnsignedInt(head.getShort());
        long cookie = head.getLong();
        long offset = extended ? head.getLong() : 0;
        int length = extended ? (int) head.getLong() : head.getInt();
        return new Chunk(done, type, cookie, offset, wire.receive(length));
    }

    /** The error number of an answer of one chunk, to the request with that cookie; 0 for none. */
    int error(long cookie) throws IOException {
        Chunk answer = chunk();
        assertEquals(cookie, answer.cookie);
        assertEquals(true, answer.done);
        return answer.error();
    }

    @Override
    public void close() throws IOException {
        wire.close();
    }
}
