package io.lakegen.model;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.engine.EngineException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class OutOfMemoryTest {
  @ParameterizedTest
  @ValueSource(
      strings = {
        // libtorch on CUDA and on the CPU
        "CUDA out of memory. Tried to allocate 20.00 GiB (GPU 0; 79.10 GiB total capacity)",
        "CUDA error: out of memory",
        "[enforce fail at alloc_cpu.cpp:119] err == 0. DefaultCPUAllocator: can't allocate memory:"
            + " you tried to allocate 800000000000 bytes. Error code 12 (Cannot allocate memory)",
        // its exception type in a TorchScript stack
        "torch.cuda.OutOfMemoryError: Tried to allocate 2.00 GiB",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        // ONNX Runtime
        "Error code - ORT_RUNTIME_EXCEPTION - message: bfc_arena.cc:376 void*"
            + " onnxruntime::BFCArena::AllocateRawInternal(size_t) Failed to allocate memory for"
            + " requested buffer of size 1073741824",
        "Non-zero status code returned while running MatMul node: std::bad_alloc",
      })
  void enginesSayItInTheirMessages(String message) {
    assertThat(OutOfMemory.isCauseOf(new EngineException(message))).isTrue();
    assertThat(OutOfMemory.isCauseOf(new IllegalStateException(new EngineException(message))))
        .isTrue();
  }

  @Test
  void theHeapOfTheVirtualMachineCounts() {
    assertThat(OutOfMemory.isCauseOf(new OutOfMemoryError("Java heap space"))).isTrue();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "Sizes of tensors must match except in dimension 1",
        "CUDA error: device-side assert triggered",
        "Error code - ORT_INVALID_ARGUMENT - message: Got invalid dimensions for input: input_ids",
      })
  void otherFailuresAreNot(String message) {
    assertThat(OutOfMemory.isCauseOf(new EngineException(message))).isFalse();
  }

  @Test
  void aMissingMessageIsNot() {
    assertThat(OutOfMemory.isCauseOf(new IllegalStateException())).isFalse();
  }
}
