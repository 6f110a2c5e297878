// Services for tests.

export { model, NO_FIGURES, run, some, split } from '../host/fake-data/services/parts';
