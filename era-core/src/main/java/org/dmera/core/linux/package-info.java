// SPDX-License-Identifier: Apache-2.0
/**
 * Linux system calls that Java has no API for, through jnr-ffi: each a plain method that throws an
 * {@link org.dmera.core.linux.ErrnoException}. Loaded only when first used.
 */
package org.dmera.core.linux;
