export { serviceMarks, serviceSeries, type Lately } from './series';
export { serviceAnswers } from './world';
