/** Image files: decoding as Pillow does it, resizing and encoding. */
package io.lakegen.image;
