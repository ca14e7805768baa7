/** Tasks over images: decoding of image files, and captioning. */
package io.lakegen.task.vision;
