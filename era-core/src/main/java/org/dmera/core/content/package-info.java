// SPDX-License-Identifier: Apache-2.0
/** Which blocks of the origin were written since an era: bits in, ranges out. */
package org.dmera.core.content;
