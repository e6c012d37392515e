// SPDX-License-Identifier: Apache-2.0
package org.dmera.core.persistent;

import java.util.Arrays;

/**
 * Changes to reference counts that wait for the one that is being made, first in, first out.
 *
 * <p>The kernel's queue holds 1024 and fails beyond that; this one grows. The entry at the head stays while it is being
 * applied, so that look-ups go on seeing it.
 */
final class QueuedChanges {
    private long[] begins = new long[16];
    private long[] ends = new long[16];
    private boolean[] adds = new boolean[16];
    private int head;
    private int tail;

    boolean isEmpty() {
        return head == tail;
    }

    void push(long begin, long end, boolean add) {
        if (tail == begins.length) {
            makeRoom();
        }
        begins[tail] = begin;
        ends[tail] = end;
        adds[tail] = add;
        tail++;
    }

    long firstBegin() {
        return begins[head];
    }

    long firstEnd() {
        return ends[head];
    }

    boolean firstIsAdd() {
        return adds[head];
    }

    void pop() {
        head++;
        if (head == tail) {
            head = 0;
            tail = 0;
        }
    }

    /** References that a block will have gained (or, negative, lost) when all of these are made. */
    int balance(long block) {
        int balance = 0;
        for (int i = head; i < tail; i++) {
            if (block >= begins[i] && block < ends[i]) {
                balance += adds[i] ? 1 : -1;
            }
        }
        return balance;
    }

    private void makeRoom() {
        int count = tail - head;
        if (head < begins.length / 2) {
            begins = Arrays.copyOfRange(begins, head, head + 2 * begins.length);
            ends = Arrays.copyOfRange(ends, head, head + 2 * ends.length);
            adds = Arrays.copyOfRange(adds, head, head + 2 * adds.length);
        } else {
            System.arraycopy(begins, head, begins, 0, count);
            System.arraycopy(ends, head, ends, 0, count);
            System.arraycopy(adds, head, adds, 0, count);
        }
        head = 0;
        tail = count;
    }
}
