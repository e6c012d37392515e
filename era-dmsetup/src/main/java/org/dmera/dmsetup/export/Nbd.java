// SPDX-License-Identifier: Apache-2.0
package org.dmera.dmsetup.export;

import java.io.IOException;
import java.util.Arrays;
import org.dmera.core.linux.Errno;
import org.dmera.core.linux.ErrnoException;
import org.dmera.core.linux.NativeText;

/** The numbers of the NBD protocol (doc/proto.md of the NetworkBlockDevice project). All integers are big-endian. */
public final class Nbd {
    public static final long MAGIC = 0x4e42444d41474943L;
    public static final long OPTION_MAGIC = 0x49484156454F5054L;
    public static final long OPTION_REPLY_MAGIC = 0x0003e889045565a9L;
    public static final int REQUEST_MAGIC = 0x25609513;
    public static final int SIMPLE_REPLY_MAGIC = 0x67446698;
    public static final int STRUCTURED_REPLY_MAGIC = 0x668e33ef;
    static final int EXTENDED_REQUEST_MAGIC = 0x21e41c71;
    static final int EXTENDED_REPLY_MAGIC = 0x6e8a278c;

    // Handshake flags, the server's and the client's.
    public static final int FIXED_NEWSTYLE = 1;
    public static final int NO_ZEROES = 2;

    // Options.
    public static final int OPT_EXPORT_NAME = 1;
    static final int OPT_ABORT = 2;
    static final int OPT_LIST = 3;
    static final int OPT_STARTTLS = 5;
    static final int OPT_INFO = 6;
    public static final int OPT_GO = 7;
    public static final int OPT_STRUCTURED_REPLY = 8;
    static final int OPT_LIST_META_CONTEXT = 9;
    public static final int OPT_SET_META_CONTEXT = 10;
    static final int OPT_EXTENDED_HEADERS = 11;

    // Option replies.
    public static final int REP_ACK = 1;
    static final int REP_SERVER = 2;
    static final int REP_INFO = 3;
    public static final int REP_META_CONTEXT = 4;
    static final int REP_ERR_UNSUP = 0x80000001;
    static final int REP_ERR_POLICY = 0x80000002;
    static final int REP_ERR_INVALID = 0x80000003;
    static final int REP_ERR_TLS_REQD = 0x80000005;
    static final int REP_ERR_UNKNOWN = 0x80000006;
    static final int REP_ERR_TOO_BIG = 0x80000009;
    static final int REP_ERR_EXT_HEADER_REQD = 0x8000000a;

    static final int INFO_EXPORT = 0;
    static final int INFO_NAME = 1;
    static final int INFO_BLOCK_SIZE = 3;

    // Transmission flags.
    static final int HAS_FLAGS = 1;
    static final int READ_ONLY = 2;
    static final int SEND_FLUSH = 4;
    static final int SEND_FUA = 8;
    static final int SEND_TRIM = 32;
    static final int SEND_WRITE_ZEROES = 64;
    static final int SEND_DF = 128;
    static final int CAN_MULTI_CONN = 256;
    static final int SEND_CACHE = 1024;
    static final int SEND_FAST_ZERO = 2048;
    static final int BLOCK_STAT_PAYLOAD = 4096;

    // Commands.
    public static final int CMD_READ = 0;
    static final int CMD_WRITE = 1;
    public static final int CMD_DISC = 2;
    public static final int CMD_FLUSH = 3;
    static final int CMD_TRIM = 4;
    static final int CMD_CACHE = 5;
    static final int CMD_WRITE_ZEROES = 6;
    public static final int CMD_BLOCK_STATUS = 7;

    // Command flags.
    static final int CMD_FLAG_FUA = 1;
    static final int CMD_FLAG_NO_HOLE = 2;
    static final int CMD_FLAG_DF = 4;
    static final int CMD_FLAG_REQ_ONE = 8;
    static final int CMD_FLAG_FAST_ZERO = 16;
    static final int CMD_FLAG_PAYLOAD_LEN = 32;

    // Chunks of a structured reply.
    public static final int CHUNK_DONE = 1;
    static final int CHUNK_NONE = 0;
    static final int CHUNK_OFFSET_DATA = 1;
    public static final int CHUNK_BLOCK_STATUS = 5;
    static final int CHUNK_BLOCK_STATUS_EXT = 6;
    static final int CHUNK_ERROR = 32769;

    // Extent flags of base:allocation, and of qemu:dirty-bitmap.
    static final int STATE_HOLE = 1;
    public static final int STATE_ZERO = 2;
    static final int STATE_DIRTY = 1;

    /** The largest payload, and the largest string, that any client must expect to get through. */
    static final int MAX_PAYLOAD_BYTES = 32 << 20;

    static final int MAX_STRING_BYTES = 4096;

    private Nbd() {}

    /** A text for people as UTF-8, whole characters of it, in so many bytes at most. */
    static byte[] text(String text, int maxBytes) {
        byte[] bytes = text == null ? new byte[0] : NativeText.bytes(text);
        if (bytes.length <= maxBytes) {
            return bytes;
        }
        int length = maxBytes;
        while ((bytes[length] & 0xc0) == 0x80) {
            length--;
        }
        return Arrays.copyOf(bytes, length);
    }

    /** The flags that a command may have when answers take that form; of one that does not exist, FUA, as of all. */
    static int commandFlags(int command, ReplyForm form) {
        return CMD_FLAG_FUA
                | switch (command) {
                    case CMD_READ -> form == ReplyForm.SIMPLE ? 0 : CMD_FLAG_DF;
                    case CMD_WRITE -> form == ReplyForm.EXTENDED ? CMD_FLAG_PAYLOAD_LEN : 0;
                    case CMD_WRITE_ZEROES -> CMD_FLAG_NO_HOLE | CMD_FLAG_FAST_ZERO;
                    case CMD_BLOCK_STATUS -> CMD_FLAG_REQ_ONE | (form == ReplyForm.EXTENDED ? CMD_FLAG_PAYLOAD_LEN : 0);
                    default -> 0;
                };
    }

    /** The protocol's error number for a failure: those of Linux where it has them or the like, EIO for the rest. */
    static int error(IOException failure) {
        if (failure instanceof ErrnoException e) {
            int errno = e.errno();
            for (Errno known : new Errno[] {
                Errno.EPERM,
                Errno.ENOMEM,
                Errno.EINVAL,
                Errno.ENOSPC,
                Errno.EOVERFLOW,
                Errno.EOPNOTSUPP,
                Errno.ESHUTDOWN
            }) {
                if (known.number() == errno) {
                    return errno;
                }
            }
            if (e.is(Errno.EROFS)) {
                return Errno.EPERM.number();
            }
            if (e.is(Errno.EDQUOT) || e.is(Errno.EFBIG)) {
                return Errno.ENOSPC.number();
            }
        }
        return Errno.EIO.number();
    }
}
