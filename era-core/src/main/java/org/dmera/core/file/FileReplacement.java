// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.file;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.HashSet;
import java.util.Set;

/**
 * A file that appears, or is replaced, whole or not at all: what is new is written to {@code FILE.partial} beside it, made
 * durable, renamed, and the folder made durable. So after a kill or a power cut at any moment the name leads to the old
 * content or to all of the new.
 *
 * <p>Both are claimed meanwhile ({@link FileClaim}): what is replaced must not be in use by an engine or a tool, and of two
 * runs with the same output the second is refused. What a killed run left under the partial name is taken away by the next
 * one; a signal that ends the program takes it away itself.
 *
 * <p>A symbolic link is followed, not replaced, and owner and mode of what was there stay. Where the folder takes no new
 * file, or the owner can't be kept, the file that is there is written where it is.
 */
public final class FileReplacement implements Closeable {
    /** What is appended to the name of a file that is not whole. */
    public static final String PARTIAL = ".partial";

    /** Those that are at work, so that a signal can take their files away; its monitor is held to rename one, too. */
    private static final Set<FileReplacement> AT_WORK = new HashSet<>();

    /** Another run writes the same file. */
    public static final class BusyException extends IOException {
        private static final long serialVersionUID = 1L;

        BusyException(Path partial) {
            super(partial + ": another run is writing it");
        }
    }

    private final Path target;
    /** Equal to {@code target} when that is written where it is. */
    private final Path written;

    private final FileIdentity own;
    private final FileChannel channel;
    /** Of what is replaced, to hold its claim; null when nothing is. */
    private FileChannel old;

    private FileIdentity oldIdentity;
    private boolean committed;
    /** A signal came; guarded by the monitor of {@link #AT_WORK}. */
    private boolean abandoned;

    private FileReplacement(Path target, Path written, FileChannel channel, FileChannel old, FileIdentity oldIdentity)
            throws IOException {
        this.target = target;
        this.written = written;
        this.own = FileIdentity.of(written);
        this.channel = channel;
        this.old = old;
        this.oldIdentity = oldIdentity;
    }

    /**
     * Begins to replace, or to make, a regular file.
     *
     * @throws BusyException when another run is at it
     * @throws IOException also when the file is in use, is no regular file, or can't be made there; one line, fit for the
     *     user
     */
    public static FileReplacement begin(Path file) throws IOException {
        return begin(file, false);
    }

    /** {@code small}: what cleans up when the program is ending may write it still. */
    private static FileReplacement begin(Path file, boolean small) throws IOException {
        Path target = Links.follow(file);
        FileChannel old = null;
        try {
            FileIdentity before = FileIdentity.ofExisting(target);
            if (before == null) {
                Links.requireFolderForFiles(target);
            } else {
                old = claim(target, before);
                before = FileIdentity.of(target);
            }
            // A signal waits until it is known that there is a file to take away.
            synchronized (AT_WORK) {
                if (!EndOfProgram.watch() && !small) {
                    throw new IOException("interrupted");
                }
                FileReplacement replacement = beginBeside(target, old, before);
                AT_WORK.add(replacement);
                return replacement;
            }
        } catch (IOException | RuntimeException e) {
            if (old != null) {
                old.close();
            }
            throw e;
        }
    }

    /** Replaces {@code file} by one that holds {@code content}; durable when it returns. Makes its folder if need be. */
    public static void replace(Path file, byte[] content) throws IOException {
        Folders.make(file.toAbsolutePath().getParent());
        try (FileReplacement replacement = begin(file, true)) {
            ByteBuffer rest = ByteBuffer.wrap(content);
            try {
                while (rest.hasRemaining()) {
                    replacement.channel.write(rest);
                }
            } catch (IOException e) {
                throw FileErrors.named(replacement.written, e);
            }
            replacement.commit();
        }
    }

    /** Opens and claims a file that is there. */
    private static FileChannel claim(Path target, FileIdentity seen) throws IOException {
        FileIdentity before = seen;
        while (true) {
            if (!before.isRegularFile()) {
                throw new IOException(
                        Files.isDirectory(target)
                                ? "The output is a directory: " + target
                                : "Not a regular file: " + target);
            }
            FileChannel opened;
            try {
                opened = FileChannel.open(target, StandardOpenOption.WRITE);
            } catch (AccessDeniedException e) {
                throw new IOException("Permission denied: " + target, e);
            }
            try {
                FileClaim.requireForWriting(opened, target);
                if (FileClaim.isStill(before, target)) {
                    return opened;
                }
            } catch (IOException e) {
                opened.close();
                throw e;
            }
            opened.close();
            before = FileIdentity.of(target);
        }
    }

    private static FileReplacement beginBeside(Path target, FileChannel old, FileIdentity before) throws IOException {
        Path partial = LongNames.beside(target, PARTIAL);
        FileChannel fresh;
        try {
            fresh = create(partial);
        } catch (NoSuchFileException e) {
            throw new IOException("No such file or directory: " + partial + " (no such folder)", e);
        } catch (AccessDeniedException e) {
            if (old == null) {
                throw new IOException("Permission denied: " + partial, e);
            }
            return inPlace(target, old, before);
        } catch (BusyException e) {
            throw e;
        } catch (FileSystemException e) {
            throw new IOException(partial + ": " + (e.getReason() == null ? e.getMessage() : e.getReason()), e);
        }
        try {
            if (old == null || takesOwnerAndMode(partial, target)) {
                return new FileReplacement(target, partial, fresh, old, before);
            }
        } catch (IOException e) {
            Files.deleteIfExists(partial);
            fresh.close();
            throw e;
        }
        Files.delete(partial);
        fresh.close();
        return inPlace(target, old, before);
    }

    private static FileReplacement inPlace(Path target, FileChannel old, FileIdentity before) throws IOException {
        try {
            old.truncate(0);
        } catch (IOException e) {
            throw FileErrors.named(target, e);
        }
        return new FileReplacement(target, target, old, null, before);
    }

    /** Makes and claims a file; what a killed run left under its name is deleted. */
    private static FileChannel create(Path partial) throws IOException {
        while (true) {
            FileChannel fresh;
            try {
                fresh = FileChannel.open(
                        partial, StandardOpenOption.CREATE_NEW, StandardOpenOption.READ, StandardOpenOption.WRITE);
            } catch (FileAlreadyExistsException e) {
                deleteLeftOver(partial);
                continue;
            }
            try {
                if (FileClaim.takeForWriting(fresh, partial)) {
                    return fresh;
                }
            } catch (IOException e) {
                fresh.close();
                // It stays: without a claim, what is deleted may be another run's by now.
                throw e;
            }
            // Another run took it for a left-over, and has deleted it by now.
            fresh.close();
        }
    }

    /**
     * Deletes what a killed run left under a partial name. Whoever deletes or renames the partial file has it claimed while its name leads to it,
     * so that nobody deletes what another run has made meanwhile.
     *
     * @throws BusyException when it is no left-over: somebody is writing it
     */
    public static void deleteLeftOver(Path partial) throws IOException {
        if (!Files.isRegularFile(partial, LinkOption.NOFOLLOW_LINKS)) {
            if (Files.exists(partial, LinkOption.NOFOLLOW_LINKS)) {
                throw new IOException(partial + " is in the way: it isn't a regular file");
            }
            return;
        }
        try (FileChannel left = FileChannel.open(partial, StandardOpenOption.WRITE, LinkOption.NOFOLLOW_LINKS)) {
            FileIdentity before = FileIdentity.ofExisting(partial);
            if (!FileClaim.takeForWriting(left, partial)) {
                throw new BusyException(partial);
            }
            if (before != null && FileClaim.isStill(before, partial)) {
                Files.delete(partial);
            }
        } catch (NoSuchFileException e) {
            // Another run gave it its final name, or deleted it.
            return;
        }
    }

    private static boolean takesOwnerAndMode(Path partial, Path target) throws IOException {
        for (String attribute : new String[] {"unix:uid", "unix:gid", "posix:permissions"}) {
            Object wanted = Files.getAttribute(target, attribute);
            if (!wanted.equals(Files.getAttribute(partial, attribute))) {
                try {
                    Files.setAttribute(partial, attribute, wanted);
                } catch (FileSystemException e) {
                    return false;
                }
            }
        }
        return true;
    }

    /** To write to; closing it is this class's business. */
    public FileChannel channel() {
        return channel;
    }

    /** The file that {@link #channel} writes to, for those who want to open it once more. */
    public Path written() {
        return written;
    }

    /** What was written is complete: it is made durable and takes its place. Without this, {@link #close} deletes it. */
    public void commit() throws IOException {
        try {
            channel.force(true);
        } catch (IOException e) {
            throw new IOException(written + ": making it durable failed: " + e.getMessage(), e);
        }
        if (!written.equals(target)) {
            claimWhatCameMeanwhile();
            synchronized (AT_WORK) {
                if (abandoned) {
                    throw new IOException("interrupted");
                }
                // Claims are between the programs of one host, and a folder may be of several.
                if (!FileClaim.isStill(own, written)) {
                    throw new IOException(written + ": somebody has deleted it, or put another file in its place");
                }
                Files.move(written, target, StandardCopyOption.ATOMIC_MOVE);
                committed = true;
            }
            Folders.syncFolderOf(target);
        }
        committed = true;
    }

    /** The name may lead to another file than when this began, and that one may be in use. */
    private void claimWhatCameMeanwhile() throws IOException {
        FileIdentity now = FileIdentity.ofExisting(target);
        if (now == null || now.equals(oldIdentity)) {
            return;
        }
        FileChannel came = claim(target, now);
        if (old != null) {
            old.close();
        }
        old = came;
        oldIdentity = now;
    }

    @Override
    public void close() throws IOException {
        FileChannel replaced = old;
        try (replaced;
                channel) {
            synchronized (AT_WORK) {
                // Once, and not what a signal has deleted: the name may be another run's by now.
                if (AT_WORK.remove(this) && !abandoned) {
                    deleteUnlessCommitted();
                }
            }
        } catch (IOException e) {
            throw FileErrors.named(written, e);
        }
    }

    /** To be called with the monitor of {@link #AT_WORK}. */
    private void deleteUnlessCommitted() throws IOException {
        if (committed || written.equals(target)) {
            return;
        }
        if (channel.isOpen()) {
            if (FileClaim.isStill(own, written)) {
                Files.delete(written);
            }
            return;
        }
        // An interrupt of whoever wrote has closed it, and given up the claim with it.
        try {
            deleteLeftOver(written);
        } catch (BusyException e) {
            // Another run has deleted it, and made its own.
            return;
        }
    }

    /** A signal ends the program by its shutdown hooks, and not by those who would close what they began. */
    private static final class EndOfProgram extends Thread {
        private static boolean watching;
        private static boolean ended;

        /** To be called with the monitor of {@link #AT_WORK}; false when the program is ending. */
        static boolean watch() {
            if (!watching) {
                try {
                    Runtime.getRuntime().addShutdownHook(new EndOfProgram());
                } catch (IllegalStateException e) {
                    return false;
                }
                watching = true;
            }
            return !ended;
        }

        @Override
        public void run() {
            synchronized (AT_WORK) {
                ended = true;
                for (FileReplacement each : AT_WORK) {
                    each.abandoned = true;
                    try {
                        each.deleteUnlessCommitted();
                    } catch (IOException e) {
                        System.err.println("couldn't delete " + each.written + ": " + e.getMessage());
                    }
                }
            }
        }
    }
}
