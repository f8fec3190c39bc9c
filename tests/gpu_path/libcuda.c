/* Takes the place of the NVIDIA driver's library, so that vLLM's compiled modules load on a machine without a driver.

   Each function only reports CUDA_ERROR_NO_DEVICE (100): nothing can be computed with it. It has the functions that the
   modules of the vLLM in requirements/gpu.txt ask for; a newer one may ask for more, and then names the missing one:
   nm -D --undefined-only <environment>/lib/python3.11/site-packages/vllm/[*].so | grep ' cu[A-Z]'                          */

#define NO_DEVICE(name) \
  int name(void) { return 100; }

NO_DEVICE(cuCtxGetCurrent)
NO_DEVICE(cuCtxSetCurrent)
NO_DEVICE(cuDeviceGetAttribute)
NO_DEVICE(cuDevicePrimaryCtxRetain)
NO_DEVICE(cuGetErrorString)
NO_DEVICE(cuGetProcAddress_v2)
NO_DEVICE(cuMemAddressFree)
NO_DEVICE(cuMemAddressReserve)
NO_DEVICE(cuMemCreate)
NO_DEVICE(cuMemGetAllocationGranularity)
NO_DEVICE(cuMemMap)
NO_DEVICE(cuMemRelease)
NO_DEVICE(cuMemSetAccess)
NO_DEVICE(cuMemUnmap)
NO_DEVICE(cuPointerGetAttribute)
NO_DEVICE(cuTensorMapEncodeTiled)
