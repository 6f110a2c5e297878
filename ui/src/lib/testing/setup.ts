// The test environment has no layout: what a component asks of it is answered here.

if (!('ResizeObserver' in globalThis)) {
  class NoResize {
    observe() {}
    unobserve() {}
    disconnect() {}
  }
  Object.assign(globalThis, { ResizeObserver: NoResize });
}

export {};
