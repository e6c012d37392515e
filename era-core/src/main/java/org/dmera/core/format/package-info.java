// SPDX-License-Identifier: Apache-2.0
/** Flyweights over one metadata block each: where the fields are, and nothing else. No I/O, no policy. */
package org.dmera.core.format;
